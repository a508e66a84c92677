#include <algorithm>
#include <gtest/gtest.h>

#include "analyze/analyze.h"
#include "analyze/explain_settings.h"
#include "model/read.h"
#include "runtime/compile.h"

namespace lateen::analyze {
namespace {

constexpr const char* kReviews = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  addresses: [10.96.0.2]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints:
  - {address: 10.1.2.1, labels: {version: v1}}
  - {address: 10.1.2.2, labels: {version: v2}}
  - {address: 10.1.2.3, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews-dr}
spec:
  host: reviews
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 100}
      http: {http1MaxPendingRequests: 100, http2MaxRequests: 1000}
    outlierDetection: {consecutive5xxErrors: 3, interval: 30s, baseEjectionTime: 60s, maxEjectionPercent: 50}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
  - {name: v9, labels: {version: v9}}
)";

constexpr const char* kMatch = R"(apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: reviews-route}
spec:
  hosts: [reviews]
  http:
  - match:
    - headers: {end-user: {exact: jason}}
    route: [{destination: {host: reviews, subset: v2}}]
  - match:
    - uri: {prefix: /api/v2}
      method: {exact: GET}
    route: [{destination: {host: reviews, subset: v3}}]
  - match:
    - sourceLabels: {app: productpage}
    route: [{destination: {host: reviews, subset: v3}}]
  - route: [{destination: {host: reviews, subset: v1}}]
)";

class ExplainTest : public testing::Test {
 protected:
  void SetUp() override { add(kReviews, "reviews.yaml"); }

  void add(const std::string& text, const std::string& file) {
    const model::ReadResult read = model::read_manifests(text, file);
    for (const Diagnostic& problem : read.problems) ADD_FAILURE() << to_string(problem);
    for (const model::ObjectPtr& object : read.objects) mesh_.objects[object->key()] = object;
  }

  // One VirtualService for reviews with these http routes, in YAML's flow style; rules.yaml has its list on line 7.
  void add_rules(const std::string& http, const std::string& name = "rules") {
    add("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + "}\nspec:\n  hosts: [reviews]\n  http:\n  " + http + "\n",
        name + ".yaml");
  }

  Explanation explain_url(const std::string& url, std::vector<std::pair<std::string, std::string>> headers = {}) {
    translate::View view;
    view.name = "sleep";
    view.labels = {{"app", "sleep"}};
    translate::Options options;
    options.compat = compat_;
    options.allocate_addresses = true;
    const translate::Translation translation = translate::translate(mesh_, view, options);
    runtime::ClusterNames names;
    const runtime::Compiled compiled = runtime::compile(translation.resources, nullptr, names);
    EXPECT_TRUE(compiled.refused.empty());
    ExplainRequest request;
    request.url = url;
    request.headers = std::move(headers);
    return explain(mesh_, translation, *compiled.snapshot, view, request, states_);
  }

  static Explanation::Setting setting(const Explanation& explanation, const std::string& name) {
    for (const Explanation::Setting& one : explanation.settings)
      if (one.name == name) return one;
    return {};
  }

  model::Mesh mesh_;
  translate::Compat compat_ = translate::Compat::kLateen;
  EndpointStates states_;
};

TEST_F(ExplainTest, SaysWhyEachRuleTakesTheRequestOrNot) {
  add(kMatch, "match.yaml");
  EXPECT_EQ(to_text(explain_url("http://reviews:9080/reviews/1", {{"End-User", "bob"}}), false),
            R"(GET http://reviews:9080/reviews/1 from default/sleep: forwarded to reviews.default.svc.cluster.local, subset v1

Rules of reviews.default.svc.cluster.local:9080
  no   match.yaml:8   header end-user exact "jason"              header end-user is "bob"
  no   match.yaml:11  path prefix "/api/v2", method exact "GET"  path is "/reviews/1"
  YES  match.yaml:17  any request
  no   match.yaml:15  VirtualService default/reviews-route       sourceLabels app=productpage does not select sleep

Destination
  outbound|9080|v1|reviews.default.svc.cluster.local  reviews.yaml:27
    10.1.2.1:9080                                     healthy

Settings
  timeout     Istio's default  none
  tries       Istio's default  3 (1 + 2 retries), on connect-failure, refused-stream, cancelled, unavailable
  balancing   Istio's default  LEAST_REQUEST
  limits      reviews.yaml:22  100 connections, 100 waiting requests, 1000 requests at a time
                               beyond them: 503 with x-envoy-overloaded
  connecting  Istio's default  at most 10s
  ejection    reviews.yaml:25  after 3 errors (5xx) in a row, for 1m x times ejected
                               at most 1 of 1 endpoint (50 %, but always one); looked at every 30s
)");
}

TEST_F(ExplainTest, RulesAfterTheOneThatTakesAreNotReached) {
  add(kMatch, "match.yaml");
  const Explanation explanation = explain_url("http://reviews:9080/", {{"end-user", "jason"}});
  EXPECT_EQ(explanation.subset, "v2");
  ASSERT_EQ(explanation.rules.size(), 4u);
  EXPECT_TRUE(explanation.rules[0].taken);
  EXPECT_EQ(explanation.rules[1].why, "not reached");
  EXPECT_EQ(explanation.rules[2].why, "not reached");
}

TEST_F(ExplainTest, TriesAgainstTheTimeout) {
  add_rules("- {timeout: 10s, retries: {attempts: 3, perTryTimeout: 3s, retryOn: '5xx,503'}, route: [{destination: {host: reviews}}]}");
  const Explanation explanation = explain_url("http://reviews:9080/");
  EXPECT_EQ(setting(explanation, "timeout").value, "10s");
  EXPECT_EQ(setting(explanation, "timeout").origin.line, 7);
  EXPECT_EQ(setting(explanation, "tries").value, "4 (1 + 3 retries), 3s each, on 5xx, 503");
  EXPECT_EQ(setting(explanation, "tries").note, "at worst 4 x 3s = 12s, and 275ms between them; cut off by the timeout at 10s");
}

TEST_F(ExplainTest, DelayAndTimeoutOnOneRoute) {
  add_rules("- {timeout: 2s, fault: {delay: {percentage: {value: 100}, fixedDelay: 3s}, abort: {percentage: {value: 0.1}, httpStatus: 503}}, "
            "route: [{destination: {host: reviews}}]}");
  const Explanation counted = explain_url("http://reviews:9080/");
  EXPECT_EQ(setting(counted, "timeout").note, "the injected delay counts: a delayed request gets 504 after 2s");
  EXPECT_EQ(setting(counted, "delay").value, "3s for 100 % of requests");
  EXPECT_EQ(setting(counted, "abort").value, "503 for 0.1 % of requests");
  compat_ = translate::Compat::kIstio;
  EXPECT_EQ(setting(explain_url("http://reviews:9080/"), "timeout").note, "begins after the injected delay, as in Istio");
}

TEST_F(ExplainTest, AnEjectionThatCanNeverHappen) {
  add_rules("- route: [{destination: {host: reviews, subset: v1}}]");
  compat_ = translate::Compat::kIstio;
  EXPECT_EQ(setting(explain_url("http://reviews:9080/"), "ejection").note, "can never happen: 50 % of 1 endpoint is less than one");
}

TEST_F(ExplainTest, SharesAndLiveEndpoints) {
  add_rules("- route: [{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: reviews, subset: v2}, weight: 10}]");
  states_["outbound|9080|v2|reviews.default.svc.cluster.local"] = {{"10.1.2.2:9080", false, "ejected, 57 s left"}};
  const std::string text = to_text(explain_url("http://reviews:9080/"), false);
  EXPECT_NE(text.find(": shared out among 2 destinations, anew for each request\n"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(Destinations
  outbound|9080|v1|reviews.default.svc.cluster.local  90/100 = 90 %  reviews.yaml:27
    10.1.2.1:9080                                     healthy
  outbound|9080|v2|reviews.default.svc.cluster.local  10/100 = 10 %  reviews.yaml:28  503 (UH): no endpoint of reviews.default.svc.cluster.local, subset v2 is healthy
    10.1.2.2:9080                                     ejected, 57 s left
)"),
            std::string::npos)
      << text;
}

TEST_F(ExplainTest, WhereNothingCanCarryIt) {
  const struct {
    const char* rules;
    const char* outcome;
  } kCases[] = {
      {"- route: [{destination: {host: reviews, subset: v7}}]", "503 (NC): no DestinationRule has subset v7 of reviews.default.svc.cluster.local"},
      {"- route: [{destination: {host: reviews, subset: v9}}]", "503 (UH): reviews.default.svc.cluster.local, subset v9 has no endpoints"},
      {"- {match: [{uri: {exact: /only}}], route: [{destination: {host: reviews}}]}", "404 (NR): no rule takes the request"},
      {"- directResponse: {status: 418}", "418, answered by the rule itself"},
      {"- redirect: {uri: /x}", "301, a redirect"},
  };
  for (const auto& test : kCases) {
    add_rules(test.rules);
    EXPECT_EQ(explain_url("http://reviews:9080/").outcome, test.outcome);
  }
}

TEST_F(ExplainTest, APortThatTheServiceDoesNotHave) {
  EXPECT_EQ(explain_url("http://reviews.default.svc.cluster.local/").outcome, "refused: reviews.default.svc.cluster.local has no port 80; its ports: 9080");
}

TEST_F(ExplainTest, HostsOutsideOfTheMesh) {
  EXPECT_EQ(explain_url("http://example.com:1234/").outcome, "not a service of this mesh: passed through to example.com:1234 as it is");
  EXPECT_EQ(explain_url("http://example.com:9080/").outcome, "not a service of this mesh: passed through to example.com:9080");
  mesh_.config.allow_any_outbound = false;
  EXPECT_EQ(explain_url("http://example.com:9080/").outcome, "502: not a service of this mesh, and outboundTrafficPolicy is REGISTRY_ONLY");
  EXPECT_TRUE(explain_url("reviews").outcome.starts_with("not a URL: "));
}

TEST_F(ExplainTest, ALosingVirtualServiceIsNamedWithItsWinner) {
  add_rules("- route: [{destination: {host: reviews, subset: v1}}]", "a-first");
  add_rules("- route: [{destination: {host: reviews, subset: v2}}]", "b-second");
  const Explanation explanation = explain_url("http://reviews:9080/");
  EXPECT_EQ(explanation.subset, "v1");
  ASSERT_EQ(explanation.rules.size(), 2u);
  EXPECT_EQ(explanation.rules[1].origin.file, "b-second.yaml");
  EXPECT_EQ(explanation.rules[1].why, "VirtualService default/a-first has this host already (a-first.yaml:5)");
}

TEST_F(ExplainTest, JsonHasTheSame) {
  add(kMatch, "match.yaml");
  const std::string json = to_json(explain_url("http://reviews:9080/api/v22"));
  for (const char* part : {R"("outcome": "forwarded to reviews.default.svc.cluster.local, subset v3")", R"("taken": true)",
                           R"("why": "header end-user is absent")", R"("address": "10.1.2.3:9080")", R"("name": "ejection")"})
    EXPECT_NE(json.find(part), std::string::npos) << part << json;
}

TEST(Ejectable, FollowsTheObservedMatrix) {
  const struct {
    std::size_t hosts;
    std::uint32_t percent;
    bool always_one;
    std::size_t most;
  } kCases[] = {{1, 50, false, 0}, {1, 100, false, 1}, {1, 10, true, 1}, {2, 50, false, 1}, {3, 50, false, 1},
                {2, 10, false, 0}, {9, 10, false, 0},  {10, 10, false, 1}, {0, 10, true, 0}, {3, 100, false, 3}};
  for (const auto& test : kCases) {
    runtime::OutlierDetection outlier;
    outlier.max_ejection_percent = test.percent;
    outlier.always_eject_one_host = test.always_one;
    EXPECT_EQ(ejectable(outlier, test.hosts), test.most) << test.hosts << " hosts, " << test.percent << " %";
  }
}

TEST_F(ExplainTest, SaysWhatElseHappensToARequest) {
  add_rules("- {match: [{uri: {prefix: /a}}], corsPolicy: {allowOrigins: [{exact: 'https://a.example'}]}, mirrors: [{destination: {host: reviews, subset: v3}, "
            "percentage: {value: 0.5}}, {destination: {host: reviews, subset: v2}}], route: [{destination: {host: reviews, subset: v1}}]}");
  const Explanation explanation = explain_url("http://reviews:9080/a");
  EXPECT_EQ(setting(explanation, "CORS").value, "origin exact \"https://a.example\"");
  EXPECT_EQ(setting(explanation, "CORS").origin.line, 7);
  EXPECT_EQ(setting(explanation, "mirror").value, "0.5 % of requests also to outbound|9080|v3|reviews.default.svc.cluster.local");
  EXPECT_EQ(setting(explanation, "mirror").origin.field_path, "spec.http[0].mirrors");
  EXPECT_EQ(std::count_if(explanation.settings.begin(), explanation.settings.end(), [](const auto& one) { return one.name == "mirror"; }), 2);
}

TEST_F(ExplainTest, SaysHowEndpointsAreChosenAndReached) {
  add("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews-dr}\nspec:\n  host: reviews\n  trafficPolicy:\n"
      "    loadBalancer: {consistentHash: {httpHeaderName: x-user}}\n    tls: {mode: SIMPLE, sni: a.example, insecureSkipVerify: true}\n"
      "    retryBudget: {percent: 12.5, minRetryConcurrency: 4}\n  subsets:\n  - {name: v1, labels: {version: v1}}\n"
      "  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s}}, tls: {mode: DISABLE}}}\n", "dr.yaml");
  add_rules("- {route: [{destination: {host: reviews, subset: v1}, weight: 50}, {destination: {host: reviews, subset: v2}, weight: 50}]}");
  const Explanation explanation = explain_url("http://reviews:9080/");
  EXPECT_EQ(setting(explanation, "sticky").value, "by header x-user");
  EXPECT_EQ(setting(explanation, "sticky").origin.line, 7);
  EXPECT_EQ(setting(explanation, "sticky").note, "a request without it goes to any endpoint");
  EXPECT_EQ(setting(explanation, "balancing v1").value, "RING_HASH");
  EXPECT_EQ(setting(explanation, "balancing v1").note, "512 points for each endpoint");
  EXPECT_EQ(setting(explanation, "balancing v2").note, "new endpoints warm up over 30s");
  EXPECT_EQ(setting(explanation, "tls v1").value, "TLS, server name a.example");
  EXPECT_EQ(setting(explanation, "tls v1").note, "the endpoint's certificate is not verified");
  EXPECT_EQ(setting(explanation, "tls v1").origin.line, 8);
  EXPECT_EQ(setting(explanation, "tls v2").name, "");
  EXPECT_EQ(setting(explanation, "retry budget").value, "retries under way: at most 12.5 % of requests, or 4");
  EXPECT_EQ(setting(explanation, "retry budget").origin.line, 9);
  compat_ = translate::Compat::kIstio;
  EXPECT_EQ(setting(explain_url("http://reviews:9080/"), "balancing v1").note, "a ring of at least 1024 points");
}

}  // namespace
}  // namespace lateen::analyze
