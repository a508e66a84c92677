// What stands beside routes: metadata, secrets, CONNECT, listener filters; and what compiled routes share.
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <gtest/gtest.h>

#include "runtime/compile.h"
#include "runtime/decide.h"
#include "runtime/resources_from_json.h"

namespace lateen::runtime {
namespace {

TEST(Metadata, RingsOfPointsPerHost) {
  struct Case { const char* value; std::uint64_t points; const char* refused; };
  const Case cases[] = {{"512", 512, ""}, {"1", 1, ""}, {"0", 0, "whole number"}, {"1.5", 0, "whole number"}, {"-3", 0, "whole number"},
                        {"8388609", 0, "whole number"}, {R"("512")", 0, "whole number"}};
  for (const Case& c : cases) {
    xds::Resources resources;
    ClusterNames names;
    add_clusters(R"([{"name": "c", "type": "STATIC", "lb_policy": "RING_HASH", "outlier_detection": {"enforcing_success_rate": 0},
      "metadata": {"filter_metadata": {"lateen": {"ring_points_per_host": )" + std::string(c.value) + "}}}}]", resources);
    const Compiled compiled = compile(resources, nullptr, names);
    if (*c.refused == '\0') {
      ASSERT_EQ(messages(compiled.refused), "") << c.value;
      EXPECT_EQ(compiled.snapshot->clusters[0]->ring_points_per_host, c.points) << c.value;
    } else {
      EXPECT_NE(messages(compiled.refused).find(c.refused), std::string::npos) << c.value;
    }
  }
}

TEST(ListenerFilters, AreOffAtTheirPorts) {
  using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  const auto range = [](int start, int end) {
    return R"({"destination_port_range": {"start": )" + std::to_string(start) + R"(, "end": )" + std::to_string(end) + "}}";
  };
  const struct {
    std::string predicate;
    Ranges off;
  } cases[] = {
      {range(80, 81), {{80, 81}}},
      {R"({"or_match": {"rules": [)" + range(80, 81) + "," + range(81, 90) + "," + range(443, 444) + "]}}", {{80, 90}, {443, 444}}},
      {R"({"not_match": )" + range(80, 81) + "}", {{0, 80}, {81, 65536}}},
      {R"({"not_match": {"or_match": {"rules": [)" + range(443, 500) + "," + range(80, 81) + "]}}}", {{0, 80}, {81, 443}, {500, 65536}}},
      {R"({"and_match": {"rules": [)" + range(80, 100) + R"(, {"not_match": )" + range(90, 91) + "}]}}", {{80, 90}, {91, 100}}},
      {R"({"any_match": true})", {{0, 65536}}},
  };
  for (const auto& c : cases) {
    xds::Resources resources;
    ClusterNames names;
    add_listeners(R"([{"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}, "listener_filters": [
      {"name": "h", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"},
       "filter_disabled": )" + c.predicate + R"(}], "filter_chains": [{"filters": [{"name": "t", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "s", "cluster": "c"}}]}]}])", resources);
    const Compiled compiled = compile(resources, nullptr, names);
    EXPECT_TRUE(compiled.refused.empty());
    ASSERT_TRUE(compiled.snapshot->listeners.contains("l"));
    EXPECT_EQ(compiled.snapshot->listeners.at("l")->sniffing_off_ports, c.off) << c.predicate;
  }
}

TEST(Metadata, DelayCountsAgainstTheTimeout) {
  xds::Resources resources;
  ClusterNames names;
  add_routes(R"([{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"},
    "metadata": {"filter_metadata": {"lateen": {"delay_counts": true}}}, "route": {"cluster": "c"}}]}]}])", resources);
  EXPECT_TRUE(compile(resources, nullptr, names).snapshot->route_tables.at("80")->virtual_hosts[0]->routes[0].delay_counts_against_timeout);
}

TEST(Metadata, SaysWhereTheClientIs) {
  xds::Resources resources;
  ClusterNames names;
  add_clusters(R"([{"name": "c", "connect_timeout": "1s", "type": "STATIC", "common_lb_config": {"zone_aware_lb_config": {}},
    "metadata": {"filter_metadata": {"lateen": {"zones": {"locality": "r/z", "local_cluster": "own"}}}}}])", resources);
  const Compiled compiled = compile(resources, nullptr, names);
  ASSERT_TRUE(compiled.refused.empty()) << to_string(compiled.refused[0]);
  const Cluster::ZoneAware& zones = *compiled.snapshot->clusters.at(*names.find("c"))->zone_aware;
  EXPECT_EQ(zones.region + "," + zones.zone + "," + zones.sub_zone + "," + zones.local_cluster, "r,z,,own");
}

// A Secret that goes, or comes back without a key, must not break what it serves (Envoy keeps it, too).
TEST(Secrets, AreKeptWhileTheyAreAskedFor) {
  xds::Resources resources;
  ClusterNames names;
  add_clusters(R"([{"name": "c", "connect_timeout": "1s", "type": "STATIC", "transport_socket": {"name": "tls", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "kubernetes://a", "sds_config": {"ads": {}}}]}}}}])", resources);
  const auto secret = [&](const std::string& name) {
    resources.secrets[name] = xds::make_resource(name, from_json<envoy::extensions::transport_sockets::tls::v3::Secret>(
        R"({"name": ")" + name + R"(", "tls_certificate": {"certificate_chain": {"inline_string": "c"}, "private_key": {"inline_string": "k"}}})"));
  };
  secret("kubernetes://a");
  secret("kubernetes://unasked");
  const Compiled first = compile(resources, nullptr, names);
  ASSERT_EQ(first.snapshot->secrets.size(), 2U);
  resources.secrets.clear();
  const Compiled second = compile(resources, first.snapshot.get(), names);
  ASSERT_EQ(second.snapshot->secrets.size(), 1U);
  EXPECT_EQ(second.snapshot->secrets.at("kubernetes://a"), first.snapshot->secrets.at("kubernetes://a"));
  resources.clusters.clear();
  EXPECT_TRUE(compile(resources, second.snapshot.get(), names).snapshot->secrets.empty());
}

TEST(Connect, EndsAtTheProxyWhereTheRouteSaysSo) {
  xds::Resources resources;
  ClusterNames names;
  const auto route = [&](const std::string& config) {
    resources.routes.clear();
    add_routes(R"([{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": {"connect_matcher": {}}, "route": {"cluster": "c",
      "upgrade_configs": [{"upgrade_type": "CONNECT")" + config + "}]}}]}]}]", resources);
    const Compiled compiled = compile(resources, nullptr, names);
    EXPECT_TRUE(compiled.refused.empty());
    return compiled.snapshot->route_tables.at("80")->virtual_hosts[0]->routes[0];
  };
  const auto ends = [](const Route& made) {
    const auto& forward = std::get<Forward>(made.action);
    return std::pair(forward.policy->ends_connect, forward.policy->ends_post);
  };
  EXPECT_EQ(ends(route("")), std::pair(false, false));
  EXPECT_EQ(ends(route(R"(, "connect_config": {})")), std::pair(true, false));
  EXPECT_EQ(ends(route(R"(, "connect_config": {"allow_post": true})")), std::pair(true, true));
  EXPECT_EQ(ends(route(R"(, "enabled": false, "connect_config": {"allow_post": true})")), std::pair(false, false));
  EXPECT_NE(std::get<Unsupported>(route(R"(, "connect_config": {"proxy_protocol_config": {}})").action).what.view().find("proxy_protocol_config"), std::string::npos);
}

// Ten thousand routes with istiod's policy have it once.
TEST(Routes, ShareTheirPolicyWhereOnlyTheClusterDiffers) {
  xds::Resources resources;
  ClusterNames names;
  const auto route = [](const std::string& prefix, const std::string& action) {
    return R"({"match": {"prefix": ")" + prefix + R"("}, "route": {)" + action + R"(, "timeout": "3s"}})";
  };
  add_routes(R"([{"name": "80", "virtual_hosts": [
    {"name": "a", "domains": ["a"], "routes": [)" + route("/one", R"("cluster": "one")") + "," +
                 route("/shares", R"("weighted_clusters": {"clusters": [{"name": "one", "weight": 1}, {"name": "two", "weight": 2}]})") + "," +
                 route("/hedges", R"("cluster": "one", "hedge_policy": {"hedge_on_per_try_timeout": true})") + "," +
                 route("/named", R"("cluster_header": "x-cluster")") + "," + route("/named-too", R"("cluster_header": "x-other")") + R"(]},
    {"name": "b", "domains": ["b"], "retry_policy": {"retry_on": "5xx"}, "routes": [)" + route("/", R"("cluster": "two")") + R"(]},
    {"name": "c", "domains": ["c"], "routes": [)" + route("/", R"("cluster": "three")") + "]}]}]", resources);
  const Compiled compiled = compile(resources, nullptr, names);
  ASSERT_EQ(messages(compiled.refused), "");
  const auto& hosts = compiled.snapshot->route_tables.at("80")->virtual_hosts;
  const auto policy = [&](std::size_t host, std::size_t index) -> const Boxed<ForwardPolicy>& { return std::get<Forward>(hosts[host]->routes[index].action).policy; };
  EXPECT_TRUE(policy(0, 0).shares_with(policy(0, 1)));
  EXPECT_TRUE(policy(0, 0).shares_with(policy(2, 0)));
  EXPECT_FALSE(policy(0, 0).shares_with(policy(0, 2)));
  EXPECT_EQ(policy(0, 3)->cluster_header, "x-cluster");
  EXPECT_EQ(policy(0, 4)->cluster_header, "x-other");
  // What one takes over from its virtual host is its own.
  EXPECT_TRUE(policy(1, 0)->retry);
  EXPECT_FALSE(policy(0, 0)->retry);
}

// What is wrong with a policy is said of each route that has it.
TEST(Routes, AreToldApartWhatIsWrongWithTheirPolicy) {
  xds::Resources resources;
  ClusterNames names;
  add_routes(R"([{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["a"], "routes": [
    {"match": {"prefix": "/1"}, "route": {"cluster": "c", "hash_policy": [{"cookie": {}}]}},
    {"match": {"prefix": "/2"}, "route": {"cluster": "c", "hash_policy": [{"cookie": {}}]}}]}]}])", resources);
  const std::string said = messages(compile(resources, nullptr, names).refused);
  EXPECT_NE(said.find("routes[0]"), std::string::npos) << said;
  EXPECT_NE(said.find("routes[1]"), std::string::npos) << said;
}

TEST(RouteTable, FindsAVirtualHostByThePlaceOfItsDomain) {
  xds::Resources resources;
  ClusterNames names;
  constexpr int kHosts = 300;
  std::string hosts;
  for (int i = 0; i < kHosts; ++i) {
    const std::string name = "h" + std::to_string(i);
    hosts += (i == 0 ? "" : ",") + (R"({"name": ")" + name + R"(", "domains": [")" + name + R"(", ")" + name + R"(.ns", "*.)" + name + R"("], "routes": [
      {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "decorator": {"operation": ")" + name + R"("}}]})");
  }
  add_routes(R"([{"name": "80", "virtual_hosts": [)" + hosts + "]}]", resources);
  const Compiled compiled = compile(resources, nullptr, names);
  ASSERT_EQ(messages(compiled.refused), "");
  const RouteTable& table = *compiled.snapshot->route_tables.at("80");
  ASSERT_FALSE(table.hosts_by_place.empty());
  RouteTable without = table;
  without.hosts_by_place.clear();
  for (int i = 0; i < kHosts + 20; ++i) {
    const std::string name = "h" + std::to_string(i);
    for (const std::string& authority : {name, name + ".ns", "x." + name, name + ":80", "H" + std::to_string(i)}) {
      // Looking ahead changes nothing, however many steps are taken.
      Lookahead ahead;
      ahead.begin(&table, authority);
      if (i % 3 != 0) ahead.find_host();
      ahead.find_route("/");
      ahead.find_names();
      const VirtualHost* const found = find_virtual_host(table, authority);
      EXPECT_EQ(found, find_virtual_host(without, authority)) << authority;
      if (authority == name) {
        EXPECT_EQ(found == nullptr ? "" : found->name.str(), i < kHosts ? name : "");
      }
    }
  }
  const RouteTable none;
  for (const RouteTable* nothing : {static_cast<const RouteTable*>(nullptr), &none}) {
    Lookahead ahead;
    ahead.begin(nothing, "x");
    ahead.find_host();
    ahead.find_route("/");
  }
}

}  // namespace
}  // namespace lateen::runtime
