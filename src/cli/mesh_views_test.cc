#include "cli/mesh_views.h"

#include <gtest/gtest.h>

#include "cli/mesh_register.h"
#include "cli/object_rows.h"
#include "model/read.h"

namespace lateen::cli {
namespace {

model::Mesh mesh_of(const std::string& yaml) {
  model::Mesh mesh;
  for (const model::ObjectPtr& object : model::read_manifests(yaml, "test.yaml").objects) mesh.objects[object->key()] = object;
  return mesh;
}

TEST(Identity, EveryFormOfAName) {
  for (const char* text : {"shop/sleep", "sleep.shop", "deploy/sleep.shop", "pod/sleep.shop", "deployment/sleep.shop"}) {
    const auto identity = parse_identity(text);
    ASSERT_TRUE(identity) << text;
    EXPECT_EQ(identity->name, "sleep") << text;
    EXPECT_EQ(identity->namespace_, "shop") << text;
  }
  EXPECT_EQ(parse_identity("sleep")->namespace_, "default");
  EXPECT_EQ(parse_identity("")->name, "");
  for (const char* bad : {"a b", "/x", "a/b/c", "x;y"}) EXPECT_FALSE(parse_identity(bad)) << bad;
}

TEST(ResolveView, WorkloadGivesItsLabels) {
  const model::Mesh mesh = mesh_of(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: sleep-1, namespace: shop, labels: {app: sleep, version: v7}}\n"
      "spec: {containers: [{name: c}]}\nstatus: {podIP: 10.0.0.7}\n");
  const translate::View view = resolve_view(*parse_identity("shop/sleep-1"), mesh);
  EXPECT_EQ(view.labels.at("version"), "v7");
  EXPECT_EQ(view.addresses, std::vector<std::string>{"10.0.0.7"});
}

TEST(ResolveView, OtherNamesAreAnAppLabel) {
  const translate::View view = resolve_view(*parse_identity("sleep"), {});
  EXPECT_EQ(view.labels, (std::map<std::string, std::string>{{"app", "sleep"}}));
  EXPECT_EQ(view.namespace_, "default");
  EXPECT_TRUE(resolve_view(*parse_identity(""), {}).labels.empty());
}

TEST(ResolveView, LabelsOfTheSessionAreAdded) {
  Identity identity = *parse_identity("sleep");
  identity.labels["version"] = "v2";
  EXPECT_EQ(resolve_view(identity, {}).labels.at("version"), "v2");
}

Registration reviews() {
  Registration registration;
  registration.service = "reviews";
  registration.version = "v1";
  registration.identity = "reviews-v1";
  registration.address = "127.0.0.1";
  registration.port = 41'000;
  return registration;
}

TEST(Register, MakesAWorkloadAndItsService) {
  const auto objects = objects_of(reviews(), "reviews-v1", {});
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 2u);
  const auto& workload = std::get<model::WorkloadEntry>((*objects)[0]->spec);
  EXPECT_EQ(workload.address, "127.0.0.1");
  EXPECT_EQ(workload.ports.at("http"), 41'000u);
  EXPECT_EQ(workload.labels.at("version"), "v1");
  const auto& service = std::get<model::Service>((*objects)[1]->spec);
  EXPECT_EQ(service.selector.at("app"), "reviews");
  EXPECT_EQ(service.ports.front().number, 9'080u);
}

TEST(Register, ServesThePortNamesOfAServiceThatIsThere) {
  const model::Mesh mesh = mesh_of(
      "apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\n"
      "spec: {selector: {app: reviews}, ports: [{name: http-web, port: 9080}, {name: admin, port: 81}]}\n");
  const auto objects = objects_of(reviews(), "reviews-v1", mesh);
  ASSERT_TRUE(objects);
  const auto& workload = std::get<model::WorkloadEntry>((*objects)[0]->spec);
  EXPECT_EQ(workload.ports.at("http-web"), 41'000u);
  EXPECT_FALSE(workload.ports.contains("admin"));
}

TEST(Register, NamesAreUnique) {
  const model::Mesh mesh = mesh_of(
      "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: reviews-v1}\nspec: {address: 10.0.0.1}\n");
  EXPECT_EQ(unique_name(reviews(), {}), "reviews-v1");
  EXPECT_EQ(unique_name(reviews(), mesh), "reviews-v1-2");
}

TEST(ObjectRows, AgesAreKubectls) {
  const std::pair<std::int64_t, const char*> cases[] = {
      {0, "0s"}, {119, "119s"}, {120, "2m"}, {125, "2m5s"}, {600, "10m"}, {10'799, "179m"}, {10'800, "3h"},
      {11'100, "3h5m"}, {30'000, "8h"}, {172'800, "2d"}, {180'000, "2d2h"}, {691'200, "8d"}};
  for (const auto& [seconds, text] : cases) EXPECT_EQ(age_text(seconds), text) << seconds;
}

TEST(ObjectRows, WhatIsWanted) {
  EXPECT_EQ(parse_wanted({"vs,dr"}, "default")->kinds,
            (std::vector{model::Kind::kVirtualService, model::Kind::kDestinationRule}));
  EXPECT_EQ(parse_wanted({"vs", "a", "b"}, "default")->names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parse_wanted({"vs/a"}, "shop")->keys, (std::vector<model::Key>{{model::Kind::kVirtualService, "shop", "a"}}));
  EXPECT_NE(parse_wanted({"virtualservce"}, "x").error().message.find("did you mean"), std::string::npos);
  EXPECT_FALSE(parse_wanted({"vs,dr", "a"}, "x"));
  EXPECT_FALSE(parse_wanted({}, "x"));
}

}  // namespace
}  // namespace lateen::cli
