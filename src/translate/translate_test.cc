// What the golden files cannot show: Lateen's own additions, the side tables, and what depends on the client.
#include "translate/translate.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <gtest/gtest.h>

#include "model/read.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;
using Cluster = envoy::config::cluster::v3::Cluster;
using Endpoints = envoy::config::endpoint::v3::ClusterLoadAssignment;

constexpr const char* kBase = R"(
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  clusterIP: 10.96.0.2
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1}
spec: {address: 127.0.0.1, ports: {http: 40001}, labels: {app: reviews, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v2}
spec: {address: 127.0.0.1, ports: {http: 40002}, labels: {app: reviews, version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 2}
  subsets:
  - {name: v1, labels: {version: v1}}
  - name: v2
    labels: {version: v2}
    trafficPolicy:
      connectionPool: {tcp: {maxConnections: 3}}
---
)";

model::Mesh mesh_of(const std::string& yaml) {
  model::Mesh mesh;
  const model::ReadResult read = model::read_manifests(yaml, "test.yaml");
  for (const Diagnostic& problem : read.problems) ADD_FAILURE() << to_string(problem);
  for (const model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = object;
  return mesh;
}

View client(const std::string& name, const std::string& namespace_ = "default") {
  View view;
  view.name = name;
  view.namespace_ = namespace_;
  view.labels = {{"app", name}};
  return view;
}

template <class Message>
Message parse(const xds::ResourcePtr& resource) {
  Message message;
  EXPECT_NE(resource, nullptr);
  if (resource != nullptr) {
    EXPECT_TRUE(message.ParseFromString(resource->bytes));
    EXPECT_EQ(resource->hash, xds::content_hash(resource->bytes));
  }
  return message;
}

template <class Message>
Message resource(const xds::ResourceMap& resources, const std::string& name) {
  const auto it = resources.find(name);
  EXPECT_NE(it, resources.end()) << name;
  return it == resources.end() ? Message{} : parse<Message>(it->second);
}

route_v3::VirtualHost virtual_host(const Translation& made, const std::string& table, const std::string& name) {
  const auto it = made.resources.routes.find(table);
  if (it != made.resources.routes.end())
    for (const auto& host : it->second.virtual_hosts)
      if (host->name == name) return parse<route_v3::VirtualHost>(host);
  ADD_FAILURE() << "no " << table << "/" << name;
  return {};
}

constexpr const char* kReviewsHost = "reviews.default.svc.cluster.local:9080";

std::vector<std::string> cluster_order(const Translation& made) {
  std::vector<std::string> out;
  const route_v3::VirtualHost host = virtual_host(made, "9080", kReviewsHost);
  for (const auto& route : host.routes()) out.push_back(route.route().cluster());
  return out;
}

TEST(Translate, WorkloadEntriesGiveASubsetItsEndpointsWithTheirOwnPorts) {
  const Translation made = translate(mesh_of(kBase), client("sleep"), {});
  const auto v2 = resource<Endpoints>(made.resources.endpoints, "outbound|9080|v2|reviews.default.svc.cluster.local");
  ASSERT_EQ(v2.endpoints_size(), 1);
  ASSERT_EQ(v2.endpoints(0).lb_endpoints_size(), 1);
  const auto& address = v2.endpoints(0).lb_endpoints(0).endpoint().address().socket_address();
  EXPECT_EQ(address.address(), "127.0.0.1");
  EXPECT_EQ(address.port_value(), 40002U);
  const auto all = resource<Endpoints>(made.resources.endpoints, "outbound|9080||reviews.default.svc.cluster.local");
  EXPECT_EQ(all.endpoints(0).lb_endpoints_size(), 2);
}

TEST(Translate, OneHostMayAlwaysBeEjectedButNotInIstiosWay) {
  const std::string name = "outbound|9080||reviews.default.svc.cluster.local";
  for (const Compat compat : {Compat::kLateen, Compat::kIstio}) {
    Options options;
    options.compat = compat;
    const Translation made = translate(mesh_of(kBase), client("sleep"), options);
    EXPECT_EQ(resource<Cluster>(made.resources.clusters, name).outlier_detection().always_eject_one_host().value(),
              compat == Compat::kLateen);
  }
}

TEST(Translate, ASubsetsPolicyIsLaidOverItsRules) {
  const Translation made = translate(mesh_of(kBase), client("sleep"), {});
  const auto v2 = resource<Cluster>(made.resources.clusters, "outbound|9080|v2|reviews.default.svc.cluster.local");
  EXPECT_EQ(v2.circuit_breakers().thresholds(0).max_connections().value(), 3U);
  EXPECT_EQ(v2.outlier_detection().consecutive_5xx().value(), 2U);
}

TEST(Translate, EveryBlockOfAClusterNamesItsField) {
  const Translation made = translate(mesh_of(kBase), client("sleep"), {});
  const std::string resource = "cluster/outbound|9080|v2|reviews.default.svc.cluster.local";
  const auto origin = [&](const char* field) {
    const auto it = made.provenance.find({resource, field});
    return it == made.provenance.end() ? Origin{} : it->second;
  };
  EXPECT_EQ(origin("").field_path, "spec.subsets[1]");
  EXPECT_EQ(origin("connection_pool").field_path, "spec.subsets[1].trafficPolicy.connectionPool");
  EXPECT_EQ(origin("outlier_detection").field_path, "spec.trafficPolicy.outlierDetection");
  EXPECT_EQ(origin("outlier_detection").object, "DestinationRule default/reviews");
  EXPECT_GT(origin("connection_pool").line, origin("outlier_detection").line);
}

constexpr const char* kDelayAndTimeout = R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /delay}}]
    fault: {delay: {fixedDelay: 3s, percentage: {value: 100}}}
    timeout: 2s
    route: [{destination: {host: reviews}}]
  - timeout: 2s
    route: [{destination: {host: reviews}}]
)";

TEST(Translate, ADelayCountsAgainstTheTimeoutOnlyWhereBothStand) {
  for (const Compat compat : {Compat::kLateen, Compat::kIstio}) {
    Options options;
    options.compat = compat;
    const Translation made = translate(mesh_of(std::string(kBase) + kDelayAndTimeout), client("sleep"), options);
    const auto host = virtual_host(made, "9080", kReviewsHost);
    ASSERT_EQ(host.routes_size(), 2);
    const auto has_mark = [&](int i) { return host.routes(i).metadata().filter_metadata().contains("lateen"); };
    EXPECT_EQ(has_mark(0), compat == Compat::kLateen);
    EXPECT_FALSE(has_mark(1));
  }
}

constexpr const char* kBySource = R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{sourceLabels: {app: productpage}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{port: 80}]
    route: [{destination: {host: reviews, subset: v1}}]
  - route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /never}}]
    route: [{destination: {host: reviews, subset: v1}}]
)";

TEST(Translate, RoutesDependOnTheClient) {
  const model::Mesh mesh = mesh_of(std::string(kBase) + kBySource);
  const std::string v1 = "outbound|9080|v1|reviews.default.svc.cluster.local";
  const std::string v2 = "outbound|9080|v2|reviews.default.svc.cluster.local";
  // Once the client is known its sourceLabels say nothing more about a request: the rule takes all of them.
  EXPECT_EQ(cluster_order(translate(mesh, client("productpage"), {})), (std::vector{v1}));
  EXPECT_EQ(cluster_order(translate(mesh, client("sleep"), {})), (std::vector{v2}));
}

TEST(Translate, EveryRuleThatIsNoRouteIsSaidWithItsReason) {
  const Translation made = translate(mesh_of(std::string(kBase) + kBySource), client("sleep"), {});
  std::vector<std::pair<LeftOut::Why, std::string>> found;
  for (const LeftOut& entry : made.left_out) {
    EXPECT_EQ(entry.host, "reviews.default.svc.cluster.local");
    found.emplace_back(entry.why, entry.rule.field_path);
  }
  using Why = LeftOut::Why;
  EXPECT_EQ(found, (std::vector<std::pair<Why, std::string>>{
                       {Why::kOtherSource, "spec.http[0].match[0].sourceLabels"},
                       {Why::kOtherPort, "spec.http[1].match[0].port"},
                       {Why::kBehindCatchAll, "spec.http[3]"}}));
}

TEST(Translate, RoutesAreJoinedToTheirRules) {
  const Translation made = translate(mesh_of(std::string(kBase) + kBySource), client("sleep"), {});
  const std::string key = std::string("route/9080/") + kReviewsHost + "/0";
  const auto it = made.provenance.find({key, ""});
  ASSERT_NE(it, made.provenance.end());
  EXPECT_EQ(it->second.field_path, "spec.http[2]");
  EXPECT_EQ(it->second.file, "test.yaml");
}

TEST(Translate, RulesForGatewaysAloneAreToldToWorkloads) {
  const Translation made = translate(mesh_of(std::string(kBase) + R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [reviews]
  gateways: [gw]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
)"), client("sleep"), {});
  EXPECT_EQ(cluster_order(made), (std::vector<std::string>{"outbound|9080||reviews.default.svc.cluster.local"}));
  ASSERT_EQ(made.left_out.size(), 1U);
  EXPECT_EQ(made.left_out[0].why, LeftOut::Why::kOtherGateway);
}

constexpr const char* kTwoOwners = R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b-second, creationTimestamp: "2026-01-02T00:00:00Z"}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v2}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: c-first, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
)";

TEST(Translate, TheOldestOwnsAHostAndTheOtherIsTold) {
  const Translation made = translate(mesh_of(std::string(kBase) + kTwoOwners), client("sleep"), {});
  EXPECT_EQ(cluster_order(made), (std::vector<std::string>{"outbound|9080|v1|reviews.default.svc.cluster.local"}));
  ASSERT_EQ(made.left_out.size(), 1U);
  EXPECT_EQ(made.left_out[0].why, LeftOut::Why::kLosesToOlder);
  EXPECT_EQ(made.left_out[0].rule.object, "VirtualService default/b-second");
  EXPECT_EQ(made.left_out[0].because_of.object, "VirtualService default/c-first");
}

TEST(Translate, TheSameInputGivesTheSameBytes) {
  const model::Mesh mesh = mesh_of(std::string(kBase) + kBySource);
  const Translation one = translate(mesh, client("sleep"), {}), two = translate(mesh, client("sleep"), {});
  const auto same = [](const xds::ResourceMap& a, const xds::ResourceMap& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, found] : a) EXPECT_EQ(found->hash, b.at(name)->hash) << name;
  };
  same(one.resources.clusters, two.resources.clusters);
  same(one.resources.endpoints, two.resources.endpoints);
  same(one.resources.listeners, two.resources.listeners);
  EXPECT_EQ(one.provenance, two.provenance);
  EXPECT_EQ(one.left_out, two.left_out);
}

TEST(Translate, EndpointsTouchNoRouteAndNoCluster) {
  const Translation before = translate(mesh_of(kBase), client("sleep"), {});
  const Translation after = translate(mesh_of(std::string(kBase) + R"(
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1-2}
spec: {address: 127.0.0.1, ports: {http: 40003}, labels: {app: reviews, version: v1}}
)"), client("sleep"), {});
  for (const auto& [name, cluster] : before.resources.clusters)
    EXPECT_EQ(cluster->hash, after.resources.clusters.at(name)->hash) << name;
  for (const auto& [name, table] : before.resources.routes)
    EXPECT_EQ(xds::route_configuration_bytes(table), xds::route_configuration_bytes(after.resources.routes.at(name)));
  EXPECT_NE(before.resources.endpoints.at("outbound|9080|v1|reviews.default.svc.cluster.local")->hash,
            after.resources.endpoints.at("outbound|9080|v1|reviews.default.svc.cluster.local")->hash);
}

TEST(Translate, AllocatedAddressesAreTheSameForTheSameServices) {
  constexpr const char* kEntries = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: one}
spec: {hosts: [one.example, two.example], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]}
)";
  Options options;
  options.allocate_addresses = true;
  const auto found = service_addresses(mesh_of(kEntries), "default", options);
  ASSERT_EQ(found.size(), 2U);
  ASSERT_EQ(found[0].addresses.size(), 1U);
  EXPECT_TRUE(found[0].addresses[0].starts_with("240.240."));
  EXPECT_NE(found[0].addresses, found[1].addresses);
  EXPECT_EQ(service_addresses(mesh_of(kEntries), "default", options)[1].addresses, found[1].addresses);
}

// Beyond Istio: keys of hosts that stay do not move. Real Envoys do not read it, and where Istio's behaviour is asked for it
// is not there.
TEST(Translate, RingsHaveAFixedNumberOfPointsForAHost) {
  const auto points_of = [](const std::string& hash, Compat compat) {
    Options options;
    options.compat = compat;
    const Translation made = translate(mesh_of("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.1.1.1, ports: "
        "[{name: http, port: 80}]}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s}\nspec: {host: s, "
        "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true" + hash + "}}}}\n"), client("sleep"), options);
    envoy::config::cluster::v3::Cluster cluster;
    cluster.ParseFromString(made.resources.clusters.at("outbound|80||s.default.svc.cluster.local")->bytes);
    const auto& metadata = cluster.metadata().filter_metadata();
    const auto lateen = metadata.find("lateen");
    return lateen == metadata.end() ? 0 : lateen->second.fields().at("ring_points_per_host").number_value();
  };
  EXPECT_EQ(points_of("", Compat::kLateen), 512);
  EXPECT_EQ(points_of(", ringHash: {minimumRingSize: 101}", Compat::kLateen), 51);
  EXPECT_EQ(points_of(", ringHash: {minimumRingSize: 4096}", Compat::kLateen), 2048);
  EXPECT_EQ(points_of(", maglev: {tableSize: 65537}", Compat::kLateen), 0);
  EXPECT_EQ(points_of("", Compat::kIstio), 0);
}

// Ports, not services, decide how many tables there are.
TEST(Translate, ManyServicesShareTheTableOfTheirPort) {
  const auto count_of = [](int services) {
    std::string yaml;
    for (int i = 0; i < services; ++i) {
      const std::string name = "s" + std::to_string(i);
      yaml += "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {clusterIP: 10.1." +
              std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + ", selector: {app: " + name +
              "}, ports: [{name: http, port: 80}]}\n";
      yaml += "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
              "}\nspec: {hosts: [" + name + "], http: [{route: [{destination: {host: " + name + "}}]}]}\n";
    }
    const Translation made = translate(mesh_of(yaml), client("sleep"), {});
    EXPECT_EQ(made.resources.routes.at("80").virtual_hosts.size(), static_cast<std::size_t>(services) + 1);
    return made.resources.clusters.size();
  };
  EXPECT_EQ(count_of(300), 302U);
}

// istiod leaves sidecars without a listener for such names: they are for its waypoints. Here they are served.
TEST(Translate, NamesThatAreResolvedRequestByRequestHaveListeners) {
  constexpr const char* kEntries = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dyn}
spec:
  hosts: ["*.dyn.example"]
  location: MESH_EXTERNAL
  resolution: DYNAMIC_DNS
  ports: [{number: 8080, name: http, protocol: HTTP}, {number: 8443, name: tls, protocol: TLS}]
)";
  const auto listeners = [&](Compat compat) {
    Options options;
    options.compat = compat;
    return translate(mesh_of(kEntries), client("sleep"), options).resources.listeners;
  };
  EXPECT_TRUE(listeners(Compat::kIstio).contains("0.0.0.0_8080"));
  const auto made = listeners(Compat::kLateen);
  const auto http = *xds::to_json(resource<envoy::config::listener::v3::Listener>(made, "0.0.0.0_8080"));
  EXPECT_NE(http.find("envoy.filters.http.dynamic_forward_proxy"), std::string::npos) << http;
  const auto tls = *xds::to_json(resource<envoy::config::listener::v3::Listener>(made, "0.0.0.0_8443"));
  for (const char* part : {"envoy.extensions.filters.network.sni_dynamic_forward_proxy", "\"*.dyn.example\"", "outbound|8443||*.dyn.example", "*.dyn.example_dfp_dns_cache"})
    EXPECT_NE(tls.find(part), std::string::npos) << part << tls;
}

TEST(Translate, ZoneAwareClustersSayWhereTheClientIs) {
  constexpr const char* kZones = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: clients}
spec: {hosts: [clients.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: caller}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: caller}
spec: {address: 10.0.0.1, locality: here/a, labels: {app: caller}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: clients}
spec: {host: clients.example, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {minClusterSize: 1}}}}
)";
  const auto zones = [&](Compat compat, const std::string& locality, const std::string& name) {
    Options options;
    options.compat = compat;
    View view = client(name);
    view.locality = locality;
    const auto cluster = resource<Cluster>(translate(mesh_of(kZones), view, options).resources.clusters, "outbound|80||clients.example");
    const auto found = cluster.metadata().filter_metadata().find("lateen");
    if (found == cluster.metadata().filter_metadata().end()) return std::string();
    const auto& fields = found->second.fields().at("zones").struct_value().fields();
    return fields.at("locality").string_value() + " " + fields.at("local_cluster").string_value();
  };
  EXPECT_EQ(zones(Compat::kLateen, "here/a", "caller"), "here/a outbound|80||clients.example");
  EXPECT_EQ(zones(Compat::kLateen, "", "caller"), "") << "nobody knows where it is";
  EXPECT_EQ(zones(Compat::kLateen, "here/a", "stranger"), "") << "no service has workloads like it";
  EXPECT_EQ(zones(Compat::kIstio, "here/a", "caller"), "");
}

}  // namespace
}  // namespace lateen::translate
