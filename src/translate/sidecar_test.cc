// What a Sidecar lets in, and the inbound side: what no golden case of istiod's shows, or shows only in passing.
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/read.h"
#include "translate/node_settings.h"
#include "translate/proxy_addresses.h"
#include "translate/translate.h"

namespace lateen::translate {
namespace {

constexpr const char* kServices = R"(
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.2, selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 8080}, {name: tcp, port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {clusterIP: 10.96.0.3, selector: {app: ratings}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: other}
spec: {clusterIP: 10.96.0.4, selector: {app: far}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: ratings}}]}]
---
)";

model::Mesh mesh_of(const std::string& yaml) {
  model::Mesh mesh;
  const model::ReadResult read = model::read_manifests(kServices + yaml, "test.yaml");
  for (const Diagnostic& problem : read.problems) ADD_FAILURE() << to_string(problem);
  for (const model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = object;
  return mesh;
}

std::string sidecar(const std::string& spec) {
  return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec: " + spec + "\n---\n";
}

View client() {
  View view;
  view.name = "reviews-v1";
  view.labels = {{"app", "reviews"}};
  view.addresses = {"10.1.0.1"};
  return view;
}

std::set<std::string> outbound_hosts(const Translation& made) {
  std::set<std::string> out;
  for (const auto& [name, resource] : made.resources.clusters)
    if (name.starts_with("outbound|")) out.insert(name.substr(9));
  return out;
}

Options inbound() {
  Options options;
  options.inbound = true;
  options.compat = Compat::kIstio;
  return options;
}

TEST(Sidecar, LetsInWhatItNamesAndWhatItsRulesSendTo) {
  const auto made = translate(mesh_of(sidecar("{egress: [{hosts: [./reviews.default.svc.cluster.local]}]}")), client(), {});
  EXPECT_EQ(outbound_hosts(made), (std::set<std::string>{"9080||reviews.default.svc.cluster.local", "9090||reviews.default.svc.cluster.local",
                                                         "9080||ratings.default.svc.cluster.local"}));
}

TEST(Sidecar, AListenersPortKeepsOutTheOtherPortsOfItsServices) {
  const auto made = translate(mesh_of(sidecar("{egress: [{port: {number: 9090, protocol: TCP}, hosts: [./*]}]}")), client(), {});
  EXPECT_EQ(outbound_hosts(made), (std::set<std::string>{"9090||reviews.default.svc.cluster.local"}));
  EXPECT_TRUE(made.resources.listeners.contains("10.96.0.2_9090"));
  EXPECT_FALSE(made.resources.listeners.contains("0.0.0.0_9080"));
}

TEST(Sidecar, SaysWhichRulesItKeepsOut) {
  const auto made = translate(mesh_of(sidecar("{egress: [{hosts: [other/*]}]}")), client(), {});
  const auto told = std::find_if(made.left_out.begin(), made.left_out.end(), [](const LeftOut& entry) {
    return entry.text == "no egress listener of the Sidecar lets it in";
  });
  ASSERT_NE(told, made.left_out.end());
  EXPECT_EQ(told->host, "reviews.default.svc.cluster.local");
  EXPECT_EQ(told->because_of.object, "Sidecar default/s");
}

TEST(Sidecar, OneOfTheRootNamespaceHoldsWhereThereIsNoOther) {
  const std::string root = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: r, namespace: istio-system}\n"
                           "spec: {egress: [{hosts: [other/*]}]}\n---\n";
  EXPECT_EQ(outbound_hosts(translate(mesh_of(root), client(), {})), (std::set<std::string>{"80||far.other.svc.cluster.local"}));
  const auto own = translate(mesh_of(root + sidecar("{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: [~/*]}]}")), client(), {});
  EXPECT_TRUE(outbound_hosts(own).empty());
  const auto others = translate(mesh_of(root + sidecar("{workloadSelector: {labels: {app: ratings}}, egress: [{hosts: [~/*]}]}")), client(), {});
  EXPECT_EQ(outbound_hosts(others).size(), 1U);
}

TEST(Inbound, IsMadeOnlyWhenAskedFor) {
  const auto standalone = translate(mesh_of(""), client(), {});
  EXPECT_FALSE(standalone.resources.listeners.contains("virtualInbound"));
  EXPECT_FALSE(standalone.resources.clusters.contains("InboundPassthroughCluster"));
  const auto made = translate(mesh_of(""), client(), inbound());
  ASSERT_TRUE(made.resources.listeners.contains("virtualInbound"));
  EXPECT_TRUE(made.resources.clusters.contains("inbound|8080||"));
  EXPECT_TRUE(made.resources.clusters.contains("inbound|9090||"));
}

TEST(Inbound, NothingIsCapturedInModeNoneButWhatASidecarAsksForIsBound) {
  View view = client();
  view.interception = View::Interception::kNone;
  const auto without = translate(mesh_of(""), view, inbound());
  EXPECT_FALSE(without.resources.listeners.contains("virtualInbound"));
  EXPECT_FALSE(without.resources.clusters.contains("inbound|8080||"));
  EXPECT_TRUE(without.resources.listeners.contains("127.0.0.1_9080"));
  const auto made = translate(mesh_of(sidecar("{ingress: [{port: {number: 7000, protocol: TCP}, defaultEndpoint: \"127.0.0.1:7001\"}]}")), view, inbound());
  ASSERT_TRUE(made.resources.listeners.contains("10.1.0.1_7000"));
  envoy::config::listener::v3::Listener listener;
  ASSERT_TRUE(listener.ParseFromString(made.resources.listeners.at("10.1.0.1_7000")->bytes));
  EXPECT_FALSE(listener.has_bind_to_port());
  envoy::config::cluster::v3::Cluster cluster;
  ASSERT_TRUE(cluster.ParseFromString(made.resources.clusters.at("inbound|7000||")->bytes));
  EXPECT_EQ(cluster.load_assignment().endpoints(0).lb_endpoints(0).endpoint().address().socket_address().port_value(), 7001U);
}

TEST(ProxyAddresses, FollowTheFamiliesOfTheWorkload) {
  View view;
  EXPECT_EQ(proxy_addresses(view).any, "0.0.0.0");
  view.addresses = {"127.0.0.1", "169.254.1.1", "10.0.0.1"};
  EXPECT_EQ(proxy_addresses(view).own, "10.0.0.1");
  view.addresses = {"fe80::1", "2001:db8::1"};
  EXPECT_EQ(proxy_addresses(view).any, "::");
  EXPECT_EQ(proxy_addresses(view).inbound_source, "::6");
  EXPECT_EQ(proxy_addresses(view).own, "2001:db8::1");
  view.addresses = {"10.0.0.1", "2001:db8::1"};
  EXPECT_EQ(proxy_addresses(view).any, "0.0.0.0");
  EXPECT_EQ(proxy_addresses(view).more_any, std::vector<std::string>{"::"});
}

TEST(NodeSettings, AreReadAsGoWritesThem) {
  View view;
  view.metadata = {{"D", "1m30.5s"}, {"BAD", "3 weeks"}, {"INF", "infs"}, {"N", "15021"}, {"NAN", "1x"}, {"YES", "true"}, {"NO", "no"}};
  EXPECT_EQ(duration_setting(view, "D"), Duration(std::chrono::milliseconds(90'500)));
  for (const char* key : {"BAD", "INF", "ABSENT"}) EXPECT_FALSE(duration_setting(view, key)) << key;
  EXPECT_EQ(number_setting(view, "N"), 15021U);
  EXPECT_EQ(number_setting(view, "NAN"), 0U);
  EXPECT_TRUE(has_setting(view, "YES"));
  EXPECT_FALSE(has_setting(view, "NO"));
}

}  // namespace
}  // namespace lateen::translate
