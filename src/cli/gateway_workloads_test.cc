#include "cli/gateway_workloads.h"

#include <gtest/gtest.h>

#include "model/read.h"

namespace lateen::cli {
namespace {

std::string gateway(const std::string& name, const std::string& selector) {
  return "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " + name + ", namespace: shop}\nspec: {" + selector +
         "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n";
}

model::Mesh mesh_of(const std::string& yaml) {
  model::Mesh mesh;
  const model::ReadResult read = model::read_manifests(yaml, "f.yaml");
  for (const Diagnostic& problem : read.problems) ADD_FAILURE() << to_string(problem);
  for (const model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = object;
  return mesh;
}

TEST(GatewayWorkloads, OneForEachSelector) {
  const std::string own = gateway("a", "selector: {app: edge}, "), istio = gateway("b", "selector: {istio: ingressgateway}, ");
  const auto names = [](const model::Mesh& mesh) {
    std::vector<std::string> out;
    for (const GatewayWorkload& one : gateway_workloads(mesh)) out.push_back(one.view.namespace_ + "/" + one.view.name + " by " + one.gateway->meta.name);
    return out;
  };
  EXPECT_EQ(names(mesh_of(own + istio + gateway("c", "selector: {app: edge}, "))),
            (std::vector<std::string>{"shop/edge by a", "istio-system/istio-ingressgateway by b"}));
  EXPECT_EQ(names(mesh_of(gateway("d", ""))), std::vector<std::string>{"shop/gateway by d"});
  EXPECT_EQ(names(mesh_of(gateway("d", "") + own)), std::vector<std::string>{"shop/edge by a"}) << "it carries the other one too";
}

TEST(GatewayWorkloads, AreFoundByTheNamesThatPeopleUse) {
  const model::Mesh mesh = mesh_of(gateway("b", "selector: {istio: ingressgateway}, "));
  for (const char* name : {"istio-ingressgateway", "istio-system/istio-ingressgateway", "istio-ingressgateway.istio-system"}) {
    const auto view = find_gateway_view(mesh, name);
    ASSERT_TRUE(view) << name;
    EXPECT_EQ(view->kind, translate::View::Kind::kRouter);
    EXPECT_EQ(view->labels.at("istio"), "ingressgateway");
  }
  for (const char* name : {"", "sleep", "shop/istio-ingressgateway"}) EXPECT_FALSE(find_gateway_view(mesh, name)) << name;
}

}  // namespace
}  // namespace lateen::cli
