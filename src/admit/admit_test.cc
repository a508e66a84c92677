#include "admit/admit.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace lateen::admit {
namespace {

using model::Kind;

// Objects of a small mesh, made without YAML.
model::ObjectPtr object(Kind kind, std::string name, model::Spec spec, int created = 0, std::string namespace_ = "default") {
  model::Object made;
  made.kind = kind;
  made.meta.name = std::move(name);
  made.meta.namespace_ = std::move(namespace_);
  made.meta.created = WallTime(std::chrono::seconds(created));
  made.spec = std::move(spec);
  static std::uint64_t hash = 0;
  made.content_hash = ++hash;
  return std::make_shared<const model::Object>(std::move(made));
}

model::ObjectPtr service(std::string name, std::string namespace_ = "default") {
  return object(Kind::kService, std::move(name), model::Service{}, 0, std::move(namespace_));
}

struct To {
  std::string host, subset;
  int weight = 0;
};

model::ObjectPtr rule(std::string name, std::vector<std::string> hosts, std::vector<To> to, int created = 0,
                      std::string namespace_ = "default", std::vector<std::string> gateways = {}) {
  model::VirtualService spec;
  spec.hosts = std::move(hosts);
  spec.gateways = std::move(gateways);
  model::HttpRoute route;
  for (const To& one : to) {
    model::HttpRouteDestination destination;
    destination.destination = {one.host, one.subset, 0};
    destination.weight = one.weight;
    route.route.push_back(destination);
  }
  spec.http.push_back(std::move(route));
  return object(Kind::kVirtualService, std::move(name), std::move(spec), created, std::move(namespace_));
}

model::ObjectPtr subsets(std::string name, std::string host, std::vector<std::string> names, int created = 0) {
  model::DestinationRule spec;
  spec.host = std::move(host);
  for (std::string& subset : names) spec.subsets.push_back({std::move(subset), {}, std::nullopt});
  return object(Kind::kDestinationRule, std::move(name), std::move(spec), created);
}

Candidate candidate(const std::vector<model::ObjectPtr>& objects) {
  Candidate made;
  for (const model::ObjectPtr& one : objects) made.objects[one->key()] = one;
  return made;
}

const Status& status(const Admission& admission, const model::ObjectPtr& of) { return admission.status.at(of->key()); }
model::ObjectPtr serving(const Admission& admission, const model::ObjectPtr& of) {
  const auto found = admission.mesh.objects.find(of->key());
  return found == admission.mesh.objects.end() ? nullptr : found->second;
}

TEST(Admit, RuleWhoseSubsetIsThereIsInEffect) {
  const auto vs = rule("route", {"reviews"}, {{"reviews", "v1"}});
  const auto admission = admit({}, candidate({service("reviews"), subsets("dr", "reviews", {"v1"}), vs}));
  EXPECT_EQ(status(admission, vs).standing, Standing::kInEffect);
  EXPECT_EQ(serving(admission, vs), vs);
}

TEST(Admit, FirstRuleWithoutItsSubsetGoesInAndSaysWhatItWaitsFor) {
  const auto vs = rule("route", {"reviews"}, {{"reviews", "v1"}});
  const auto admission = admit({}, candidate({service("reviews"), vs}));
  EXPECT_EQ(status(admission, vs).standing, Standing::kPending);
  EXPECT_EQ(status(admission, vs).reason,
            "waits for subset v1 of reviews.default.svc.cluster.local: no DestinationRule defines it");
  EXPECT_FALSE(status(admission, vs).last_good_serves);
  EXPECT_EQ(serving(admission, vs), vs);
}

TEST(Admit, LastGoodRuleServesUntilTheNewOneCan) {
  const auto reviews = service("reviews");
  const auto dr = subsets("dr", "reviews", {"v1"});
  const auto good = rule("route", {"reviews"}, {{"reviews", "v1"}});
  const auto first = admit({}, candidate({reviews, dr, good}));
  const auto next = rule("route", {"reviews"}, {{"reviews", "v2"}});
  const auto second = admit(first.accepted, candidate({reviews, dr, next}));
  EXPECT_EQ(status(second, next).standing, Standing::kPending);
  EXPECT_TRUE(status(second, next).last_good_serves);
  EXPECT_EQ(serving(second, next), good);
  const auto third = admit(second.accepted, candidate({reviews, subsets("dr", "reviews", {"v1", "v2"}), next}));
  EXPECT_EQ(status(third, next).standing, Standing::kInEffect);
  EXPECT_EQ(serving(third, next), next);
}

TEST(Admit, LastGoodThatCannotServeEitherIsLetGo) {
  const auto reviews = service("reviews");
  const auto good = rule("route", {"reviews"}, {{"reviews", "v1"}});
  const auto first = admit({}, candidate({reviews, subsets("dr", "reviews", {"v1"}), good}));
  const auto next = rule("route", {"reviews"}, {{"reviews", "v2"}});
  const auto second = admit(first.accepted, candidate({reviews, next}));
  EXPECT_EQ(serving(second, next), next);
  EXPECT_FALSE(status(second, next).last_good_serves);
}

TEST(Admit, UnreadableDocumentKeepsItsLastGoodVersion) {
  const auto reviews = service("reviews");
  const auto good = rule("route", {"reviews"}, {{"reviews", ""}});
  const auto first = admit({}, candidate({reviews, good}));
  Candidate broken = candidate({reviews});
  Diagnostic problem;
  problem.message = "is no duration";
  broken.unreadable[good->key()] = problem;
  const auto second = admit(first.accepted, broken);
  EXPECT_EQ(status(second, good).standing, Standing::kRefused);
  EXPECT_TRUE(status(second, good).last_good_serves);
  EXPECT_EQ(status(second, good).reason, "is no duration");
  EXPECT_EQ(serving(second, good), good);
  // Gone for good: a deletion.
  const auto third = admit(second.accepted, candidate({reviews}));
  EXPECT_EQ(serving(third, good), nullptr);
}

TEST(Admit, UnreadableDocumentThatNeverServedIsOnlyRefused) {
  Candidate broken;
  const model::Key key{Kind::kVirtualService, "default", "route"};
  broken.unreadable[key] = Diagnostic{};
  const auto admission = admit({}, broken);
  EXPECT_EQ(admission.status.at(key).standing, Standing::kRefused);
  EXPECT_FALSE(admission.status.at(key).last_good_serves);
  EXPECT_TRUE(admission.mesh.objects.empty());
}

TEST(Admit, OldestOwnsTheHost) {
  const auto reviews = service("reviews");
  const auto older = rule("z-first", {"reviews"}, {{"reviews", ""}}, 10);
  const auto younger = rule("a-second", {"reviews.default.svc.cluster.local"}, {{"reviews", ""}}, 20);
  const auto admission = admit({}, candidate({reviews, younger, older}));
  EXPECT_EQ(status(admission, older).standing, Standing::kInEffect);
  EXPECT_EQ(status(admission, younger).standing, Standing::kNotInEffect);
  EXPECT_EQ(status(admission, younger).because_of.object, "VirtualService default/z-first");
}

TEST(Admit, EqualAgeIsSettledByNameThenNamespace) {
  const auto a = rule("a", {"reviews.default.svc.cluster.local"}, {{"reviews.default.svc.cluster.local", ""}}, 1, "zoo");
  const auto b = rule("b", {"reviews.default.svc.cluster.local"}, {{"reviews.default.svc.cluster.local", ""}}, 1, "alpha");
  const auto admission = admit({}, candidate({service("reviews"), a, b}));
  EXPECT_EQ(status(admission, a).standing, Standing::kInEffect);
  EXPECT_EQ(status(admission, b).standing, Standing::kNotInEffect);
}

TEST(Admit, RuleThatLosesOnlySomeHostsStaysInEffect) {
  const auto first = rule("first", {"reviews"}, {{"reviews", ""}}, 1);
  const auto both = rule("second", {"reviews", "ratings"}, {{"ratings", ""}}, 2);
  const auto admission = admit({}, candidate({service("reviews"), service("ratings"), first, both}));
  EXPECT_EQ(status(admission, both).standing, Standing::kInEffect);
  EXPECT_TRUE(status(admission, both).reason.starts_with("in part: host reviews.default.svc.cluster.local"));
}

TEST(Admit, GatewayRulesDoNotOwnMeshHosts) {
  const auto gateway = object(Kind::kGateway, "gw", model::Gateway{});
  const auto at_gateway = rule("a", {"reviews"}, {{"reviews", ""}}, 1, "default", {"gw"});
  const auto in_mesh = rule("b", {"reviews"}, {{"reviews", ""}}, 2);
  const auto admission = admit({}, candidate({service("reviews"), gateway, at_gateway, in_mesh}));
  EXPECT_EQ(status(admission, in_mesh).standing, Standing::kInEffect);
  EXPECT_EQ(status(admission, at_gateway).standing, Standing::kInEffect);
}

struct WaitCase {
  std::string name;
  std::vector<model::ObjectPtr> objects;
  std::string reason;  // of the VirtualService "route"; "": in effect
};

TEST(Admit, WhatARuleWaitsFor) {
  const auto reviews = service("reviews");
  const std::vector<WaitCase> cases = {
      {"unknown host", {rule("route", {"reviews"}, {{"reviews", ""}})},
       "waits for host reviews.default.svc.cluster.local: no Service or ServiceEntry has it"},
      {"rule without the subset", {reviews, subsets("dr", "reviews", {"v1"}), rule("route", {"reviews"}, {{"reviews", "v2"}})},
       "waits for subset v2 of reviews.default.svc.cluster.local: its DestinationRule does not define it"},
      {"weight 0 waits for nothing",
       {reviews, subsets("dr", "reviews", {"v1"}), rule("route", {"reviews"}, {{"reviews", "v1", 100}, {"reviews", "v2", 0}})}, ""},
      {"a single destination of weight 0 takes everything", {reviews, rule("route", {"reviews"}, {{"reviews", "v2", 0}})},
       "waits for subset v2 of reviews.default.svc.cluster.local: no DestinationRule defines it"},
      {"unknown gateway", {reviews, rule("route", {"reviews"}, {{"reviews", ""}}, 0, "default", {"gw"})},
       "waits for Gateway gw: there is none of that name"},
      {"wildcard DestinationRule", {reviews, subsets("dr", "*.default.svc.cluster.local", {"v1"}), rule("route", {"reviews"}, {{"reviews", "v1"}})}, ""},
  };
  for (const WaitCase& one : cases) {
    const auto admission = admit({}, candidate(one.objects));
    const Status& found = admission.status.at({Kind::kVirtualService, "default", "route"});
    EXPECT_EQ(found.reason, one.reason) << one.name;
    EXPECT_EQ(found.standing, one.reason.empty() ? Standing::kInEffect : Standing::kPending) << one.name;
  }
}

TEST(Admit, WaitNamesTheField) {
  const auto vs = rule("route", {"reviews"}, {{"reviews", "v1", 90}, {"reviews", "v2", 10}});
  const auto admission = admit({}, candidate({service("reviews"), subsets("dr", "reviews", {"v1"}), vs}));
  EXPECT_EQ(status(admission, vs).because_of.field_path, "spec.http[0].route[1].destination.subset");
}

// Property: whatever the order in which the objects of a mesh arrive, the same ones serve in the end, with the same
// standing.
TEST(Admit, OrderOfApplicationDoesNotMatter) {
  std::mt19937 random(20'261'123);
  const std::vector<std::string> hosts{"reviews", "ratings", "details"};
  const std::vector<std::string> names{"v1", "v2", "v3"};
  const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  for (int round = 0; round < 300; ++round) {
    std::vector<model::ObjectPtr> objects;
    for (const std::string& host : hosts) {
      if (random() % 4 != 0) objects.push_back(service(host));
      if (random() % 3 != 0) objects.push_back(subsets("dr-" + host, host, {pick(names), pick(names)}, static_cast<int>(random() % 3)));
    }
    const int rules = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < rules; ++i)
      objects.push_back(rule("vs-" + std::to_string(i), {pick(hosts)}, {{pick(hosts), pick(names), 50}, {pick(hosts), "", 50}},
                             static_cast<int>(random() % 3)));
    std::optional<Admission> first;
    for (int order = 0; order < 4; ++order) {
      std::shuffle(objects.begin(), objects.end(), random);
      Accepted memory;
      Candidate growing;
      Admission last;
      for (const model::ObjectPtr& one : objects) {
        growing.objects[one->key()] = one;
        last = admit(memory, growing);
        memory = last.accepted;
      }
      if (!first) {
        first = std::move(last);
        continue;
      }
      ASSERT_EQ(first->mesh.objects, last.mesh.objects) << "round " << round;
      ASSERT_EQ(first->status.size(), last.status.size());
      for (const auto& [key, status] : first->status) {
        ASSERT_EQ(status.standing, last.status.at(key).standing) << "round " << round << " " << model::to_string(key);
        ASSERT_EQ(status.reason, last.status.at(key).reason) << "round " << round << " " << model::to_string(key);
      }
    }
  }
}

// Admitting what was admitted changes nothing.
TEST(Admit, IsStable) {
  const auto vs = rule("route", {"reviews"}, {{"reviews", "v2"}});
  const Candidate same = candidate({service("reviews"), vs});
  const auto once = admit({}, same);
  const auto twice = admit(once.accepted, same);
  EXPECT_EQ(once.mesh.objects, twice.mesh.objects);
  EXPECT_EQ(status(once, vs).reason, status(twice, vs).reason);
}

}  // namespace
}  // namespace lateen::admit
