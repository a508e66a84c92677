#include "runtime/compile.h"

#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/filters/http/cors/v3/cors.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <envoy/extensions/filters/http/grpc_stats/v3/config.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.pb.h>
#include <envoy/extensions/request_id/uuid/v3/uuid.pb.h>
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>
#include <envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.pb.h>
#include <envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "runtime/compile_cluster.h"
#include "runtime/decide.h"
#include "runtime/resources_from_json.h"

namespace lateen::runtime {
namespace {

using namespace std::chrono_literals;

// Any messages are found by name only if they are linked.
template <class... Messages>
void link_messages() {
  (static_cast<void>(Messages::descriptor()), ...);
}

std::string test_file(const std::string& name) {
  link_messages<envoy::extensions::access_loggers::file::v3::FileAccessLog, envoy::extensions::filters::http::cors::v3::Cors,
                envoy::extensions::filters::http::fault::v3::HTTPFault, envoy::extensions::filters::http::grpc_stats::v3::FilterConfig,
                envoy::extensions::filters::http::router::v3::Router, envoy::extensions::filters::listener::http_inspector::v3::HttpInspector,
                envoy::extensions::filters::listener::original_dst::v3::OriginalDst,
                envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector,
                envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager,
                envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy,
                envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig,
                envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig,
                envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate,
                envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig,
                envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer,
                envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext,
                envoy::extensions::upstreams::http::v3::HttpProtocolOptions>();
  std::ifstream file(std::string(LATEEN_SOURCE_DIR) + "/src/runtime/testdata/" + name);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

// What istiod sent, cut down: see testdata.
class FromIstiod : public testing::Test {
 protected:
  void SetUp() override {
    add_routes(test_file("routes.json"), resources_);
    add_clusters(test_file("clusters.json"), resources_);
    add_endpoints(test_file("endpoints.json"), resources_);
    add_listeners(test_file("listeners.json"), resources_);
    compiled_ = compile(resources_, nullptr, names_);
  }

  Decision decide_for(std::string_view authority, std::string_view path = "/", const http::HeaderMap* headers = nullptr) {
    return decide(*compiled_.snapshot->route_tables.at("9080"), {"GET", "http", authority, path, headers}, 0);
  }
  const Forward& forward(std::string_view authority) { return std::get<Forward>(decide_for(authority).route->action); }
  const Cluster& cluster(std::string_view name) { return *compiled_.snapshot->clusters[names_.find(name).value()]; }

  xds::Resources resources_;
  ClusterNames names_;
  Compiled compiled_;
};

constexpr const char* kV1 = "outbound|9080|v1|reviews.default.svc.cluster.local";

TEST_F(FromIstiod, RefusesNothingAndNamesWhatItDoesNotCarry) {
  EXPECT_EQ(messages(compiled_.refused), "");
  EXPECT_EQ(messages(compiled_.notes), "");
}

TEST_F(FromIstiod, Routes) {
  http::HeaderMap jason;
  jason.add("end-user", "jason");
  EXPECT_EQ(decide_for("match:9080", "/reviews/1", &jason).cluster->name, "outbound|9080|v2|reviews.default.svc.cluster.local");
  EXPECT_EQ(decide_for("match:9080", "/api/v22").cluster->name, "outbound|9080|v3|reviews.default.svc.cluster.local");
  EXPECT_EQ(decide_for("match", "/").cluster->name, kV1);
  EXPECT_EQ(decide_for("example.com", "/").cluster->name, "PassthroughCluster");
  EXPECT_EQ(decide_for("direct").outcome, Outcome::kDirectResponse);
  EXPECT_EQ(std::get<DirectResponse>(decide_for("direct").route->action).body, "teapot");
  ASSERT_EQ(forward("mirror").policy->mirrors.size(), 1u);
  EXPECT_EQ(names_.name(forward("mirror").policy->mirrors[0].id), forward("mirror").policy->mirrors[0].cluster);
  EXPECT_FALSE(forward("mirror").policy->mirrors[0].append_shadow_suffix);
  const Route& route = *decide_for("match").route;
  EXPECT_EQ(route.config, "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews-route");
  EXPECT_EQ(route.operation, "reviews.default.svc.cluster.local:9080/*");
  EXPECT_EQ(route.index, 2u);
  EXPECT_FALSE(route.delay_counts_against_timeout);
  EXPECT_TRUE(decide_for("match").virtual_host->include_attempt_count_in_request);
}

TEST_F(FromIstiod, TimeoutsAndRetries) {
  EXPECT_EQ(forward("match").policy->timeout, 0s);
  const RetryPolicy defaults = forward("match").policy->retry.value();
  EXPECT_EQ(defaults.retry_on, kRetryConnectFailure | kRetryRefusedStream | kRetryGrpcUnavailable | kRetryGrpcCancelled | kRetryRetriableStatusCodes);
  EXPECT_EQ(defaults.retries_max, 2u);
  EXPECT_TRUE(defaults.avoid_previous_hosts);
  EXPECT_EQ(defaults.host_selection_attempts_max, 5u);
  EXPECT_EQ(defaults.backoff_base, 25ms);
  EXPECT_EQ(defaults.backoff_max, 250ms);
  EXPECT_FALSE(defaults.per_try_timeout);

  EXPECT_EQ(forward("retries").policy->timeout, 10s);
  EXPECT_EQ(forward("retries").policy->retry->per_try_timeout, 3s);
  EXPECT_EQ(forward("retries").policy->retry->retries_max, 3u);
  EXPECT_EQ(forward("retries").policy->retry->retry_on, kRetryGatewayError | kRetryConnectFailure | kRetryRefusedStream | kRetry5xx);

  const RetryPolicy codes = forward("codes").policy->retry.value();
  EXPECT_EQ(codes.retriable_status_codes, (std::vector<std::uint16_t>{503, 429}));
  EXPECT_EQ(codes.backoff_base, 100ms);
  EXPECT_EQ(codes.backoff_max, 1s);
  EXPECT_FALSE(codes.avoid_previous_hosts);
}

TEST_F(FromIstiod, FaultsWeightsHeadersRewrites) {
  const Fault fault = decide_for("fault").route->fault.value();
  EXPECT_EQ(fault.delay, 5s);
  EXPECT_EQ(fault.delay_per_million, 500'000u);
  EXPECT_EQ(fault.abort_status, 503);
  EXPECT_EQ(fault.abort_per_million, 100'000u);

  EXPECT_EQ(forward("weights").weight_total, 100u);
  EXPECT_EQ(forward("weights").clusters[1].weight, 20u);
  EXPECT_EQ(names_.name(forward("weights").clusters[0].id), kV1);

  const Route& route = *decide_for("headers").route;
  ASSERT_EQ(route.request_headers.size(), 3u);
  EXPECT_EQ(route.request_headers[0].kind, HeaderOperation::Kind::kRemove);
  EXPECT_EQ(route.request_headers[0].name, "c");
  EXPECT_EQ(route.request_headers[1].kind, HeaderOperation::Kind::kOverwrite);
  EXPECT_EQ(route.request_headers[2].kind, HeaderOperation::Kind::kAppend);
  EXPECT_EQ(route.request_headers[2].value.text(), "2");
  EXPECT_FALSE(route.response_headers[1].value.is_literal());
  EXPECT_EQ(forward("headers").policy->rewrite->host, "rewritten.example");
  EXPECT_EQ(forward("headers").clusters[1].host_rewrite, "w.example");
  EXPECT_EQ(forward("headers").clusters[0].request_headers[0].name, "f");

  EXPECT_EQ(forward("rewrite").policy->rewrite->regex_substitution, "/b/\\1");
  const Redirect moved = std::get<Redirect>(decide_for("redirect", "/r").route->action);
  EXPECT_EQ(moved.status, 302);
  EXPECT_EQ(moved.host + moved.path, "h.example/n");
  const Redirect prefix = std::get<Redirect>(decide_for("redirect", "/p/x").route->action);
  EXPECT_EQ(prefix.status, 301);
  EXPECT_EQ(prefix.prefix_rewrite + ' ' + prefix.scheme + ' ' + std::to_string(prefix.port.value()), "/q https 8443");
}

TEST_F(FromIstiod, Clusters) {
  const Cluster& v1 = cluster(kV1);
  EXPECT_EQ(v1.discovery, Cluster::Discovery::kEds);
  EXPECT_EQ(v1.balancer, Cluster::Balancer::kLeastRequest);
  EXPECT_EQ(v1.limits.connections_max, 100u);
  EXPECT_EQ(v1.limits.requests_max, 1000u);
  EXPECT_FALSE(v1.limits.retries_max);  // 2^32 - 1: not limited
  EXPECT_EQ(v1.outlier->consecutive_5xx, 3u);
  EXPECT_EQ(v1.outlier->interval, 30s);
  EXPECT_EQ(v1.outlier->base_ejection_time, 60s);
  EXPECT_EQ(v1.outlier->max_ejection_percent, 50u);
  EXPECT_EQ(v1.panic_threshold_percent, 0u);
  EXPECT_EQ(v1.service_host + ' ' + v1.service_name + ' ' + v1.service_namespace + ' ' + v1.subset,
            "reviews.default.svc.cluster.local reviews default v1");
  EXPECT_EQ(v1.unsupported, "");  // its TLS is only for endpoints that ask for it

  const OutlierDetection all = cluster("outlier").outlier.value();
  EXPECT_EQ(all.consecutive_gateway_failure, 3u);
  EXPECT_EQ(all.enforcing_consecutive_gateway_failure, 100u);
  EXPECT_EQ(all.consecutive_local_origin_failure, 4u);
  EXPECT_TRUE(all.split_external_local_origin_errors);
  EXPECT_EQ(all.max_ejection_time, 900s);  // never shorter than the base
  EXPECT_EQ(cluster("outlier").panic_threshold_percent, 30u);

  const Cluster& pool = cluster("pool");
  EXPECT_EQ(pool.connect_timeout, 30ms);
  EXPECT_EQ(pool.idle_timeout, 12s);
  EXPECT_EQ(pool.connection_duration_max, 60s);
  EXPECT_EQ(pool.requests_per_connection_max, 10u);
  EXPECT_TRUE(pool.http2);
  EXPECT_EQ(pool.http2_streams_max, 13u);
  EXPECT_EQ(pool.keepalive->idle, 7200s);
  EXPECT_EQ(pool.keepalive->probes, 3u);

  EXPECT_EQ(cluster("tls").unsupported, "");
  ASSERT_NE(cluster("tls").transport.tls, nullptr);
  EXPECT_EQ(cluster("PassthroughCluster").discovery, Cluster::Discovery::kOriginalDestination);
  EXPECT_EQ(cluster("BlackHoleCluster").limits.connections_max, 1024u);  // Envoy's default
  EXPECT_EQ(cluster("BlackHoleCluster").limits.retries_max, 3u);
}

TEST_F(FromIstiod, Endpoints) {
  const EndpointSet& v1 = *compiled_.snapshot->endpoints[cluster(kV1).id];
  ASSERT_EQ(v1.endpoints.size(), 1u);
  EXPECT_EQ(v1.endpoints[0].host, "10.1.2.1");
  EXPECT_EQ(v1.endpoints[0].port, 9080);
  EXPECT_EQ(v1.endpoints[0].health, Endpoint::Health::kHealthy);
  EXPECT_EQ(v1.endpoints[0].region + '/' + v1.endpoints[0].zone, "region1/zone1");
  EXPECT_EQ(v1.endpoints[0].workload, "reviews-v1;default;reviews;v1;Kubernetes");
  const Cluster& dns = cluster("dns");
  EXPECT_EQ(dns.discovery, Cluster::Discovery::kStrictDns);
  EXPECT_EQ(dns.dns.family, Cluster::Dns::Family::kV4Only);
  EXPECT_EQ(dns.dns.refresh, 60s);
  EXPECT_EQ(compiled_.snapshot->endpoints[dns.id]->endpoints[0].host, "api.ext.example");
  EXPECT_EQ(compiled_.snapshot->endpoints[cluster("maglev").id], nullptr);
}

TEST_F(FromIstiod, Listeners) {
  const Listener& http = *compiled_.snapshot->listeners.at("0.0.0.0_9080");
  EXPECT_EQ(http.address, "0.0.0.0");
  EXPECT_EQ(http.port, 9080);
  EXPECT_FALSE(http.bind_to_port);
  EXPECT_TRUE(http.sniffs_http);
  EXPECT_TRUE(http.goes_on_after_sniffing_timeout);
  EXPECT_EQ(http.sniffing_timeout, 0s);
  EXPECT_EQ(http.filter_chains[0].application_protocols, (std::vector<std::string>{"http/1.1", "h2c"}));
  EXPECT_EQ(http.filter_chains[0].transport_protocol, "raw_buffer");
  const auto& settings = std::get<HttpConnectionSettings>(http.filter_chains[0].handler);
  EXPECT_EQ(settings.route_table, "9080");
  EXPECT_TRUE(settings.normalize_path);
  EXPECT_TRUE(settings.proxies_100_continue);
  EXPECT_TRUE(settings.websocket_upgrades);
  EXPECT_TRUE(settings.fault_filter);
  EXPECT_TRUE(settings.generate_request_id);
  EXPECT_EQ(settings.server_name, "envoy");
  EXPECT_EQ(settings.stream_idle_timeout, 0s);
  EXPECT_EQ(settings.idle_timeout, 1h);
  EXPECT_EQ(settings.request_headers_bytes_max, 60u * 1024);
  EXPECT_TRUE(settings.access_log_format.value().starts_with("[%START_TIME%] \"%REQ(:METHOD)%"));
  EXPECT_EQ(settings.access_log_path, "/dev/stdout");
  const auto& tcp = std::get<TcpProxySettings>(http.default_chain->handler);
  EXPECT_EQ(tcp.clusters[0].name, "PassthroughCluster");
  EXPECT_EQ(tcp.idle_timeout, 1h);

  const Listener& outbound = *compiled_.snapshot->listeners.at("virtualOutbound");
  EXPECT_TRUE(outbound.uses_original_destination);
  EXPECT_TRUE(outbound.bind_to_port);
  EXPECT_EQ(outbound.filter_chains[0].destination_port, 15001);
  EXPECT_EQ(std::get<TcpProxySettings>(outbound.filter_chains[0].handler).clusters[0].name, "BlackHoleCluster");
  EXPECT_FALSE(outbound.filter_chains[1].destination_port);

  const Listener& inbound = *compiled_.snapshot->listeners.at("virtualInbound");
  EXPECT_FALSE(inbound.outbound);
  EXPECT_TRUE(inbound.sniffs_tls);
  EXPECT_EQ(inbound.sniffing_off_ports, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{80, 81}, {15006, 15007}}));
  ASSERT_NE(inbound.filter_chains[1].tls, nullptr);
  EXPECT_TRUE(inbound.filter_chains[1].tls->requires_client_certificate);
  EXPECT_EQ(inbound.filter_chains[1].tls->common.validation_secret, "ROOTCA");
  EXPECT_EQ(inbound.filter_chains[1].tls->common.certificate_secrets, std::vector<std::string>{"default"});
  const auto& own = std::get<HttpConnectionSettings>(inbound.filter_chains[2].handler);
  EXPECT_EQ(own.route_table, "listener/virtualInbound/2");
  EXPECT_EQ(own.server_name, "istio-envoy");
  EXPECT_EQ(compiled_.snapshot->route_tables.at("listener/virtualInbound/2")->virtual_hosts.size(), 1u);
}

TEST_F(FromIstiod, SharesWhatDidNotChange) {
  const Compiled again = compile(resources_, compiled_.snapshot.get(), names_);
  EXPECT_EQ(again.snapshot->generation, compiled_.snapshot->generation + 1);
  EXPECT_EQ(again.snapshot->clusters, compiled_.snapshot->clusters);
  EXPECT_EQ(again.snapshot->endpoints, compiled_.snapshot->endpoints);
  EXPECT_EQ(again.snapshot->listeners, compiled_.snapshot->listeners);
  EXPECT_EQ(again.snapshot->route_tables, compiled_.snapshot->route_tables);
  EXPECT_EQ(messages(again.notes), "");  // told once

  // One virtual host changes: every other one, and everything else, is the same object.
  xds::RouteConfigurationParts& parts = resources_.routes.at("9080");
  auto host = from_json<envoy::config::route::v3::VirtualHost>(
      R"({"name": "match:9080", "domains": ["match"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "new"}}]})");
  parts.virtual_hosts[0] = xds::make_resource("match:9080", host);
  const Compiled changed = compile(resources_, compiled_.snapshot.get(), names_);
  const RouteTable &before = *compiled_.snapshot->route_tables.at("9080"), &after = *changed.snapshot->route_tables.at("9080");
  EXPECT_NE(after.virtual_hosts[0], before.virtual_hosts[0]);
  for (std::size_t i = 1; i < before.virtual_hosts.size(); ++i) EXPECT_EQ(after.virtual_hosts[i], before.virtual_hosts[i]);
  for (std::size_t i = 0; i < compiled_.snapshot->clusters.size(); ++i) EXPECT_EQ(changed.snapshot->clusters[i], compiled_.snapshot->clusters[i]);
  EXPECT_EQ(changed.snapshot->listeners, compiled_.snapshot->listeners);
  EXPECT_EQ(std::get<Forward>(after.virtual_hosts[0]->routes[0].action).policy->timeout, 15s);  // Envoy's, where nothing is said
  // The name that came with it has a number, and no cluster.
  EXPECT_EQ(changed.snapshot->clusters[names_.find("new").value()], nullptr);
}

TEST_F(FromIstiod, EndpointsNeverTouchRoutes) {
  auto assignment = from_json<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      R"({"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.9.9.9", "port_value": 80}}}}]}]})");
  assignment.set_cluster_name(kV1);
  resources_.endpoints[kV1] = xds::make_resource(kV1, assignment);
  const Compiled moved = compile(resources_, compiled_.snapshot.get(), names_);
  EXPECT_EQ(moved.snapshot->endpoints[cluster(kV1).id]->endpoints[0].host, "10.9.9.9");
  EXPECT_EQ(moved.snapshot->route_tables, compiled_.snapshot->route_tables);
  EXPECT_EQ(moved.snapshot->clusters, compiled_.snapshot->clusters);
}

TEST_F(FromIstiod, EndpointsChooseTheirTransport) {
  auto assignment = from_json<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      R"({"endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": "10.9.9.9", "port_value": 80}}},
         "metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}},
        {"endpoint": {"address": {"socket_address": {"address": "10.9.9.8", "port_value": 80}}}}]}]})");
  assignment.set_cluster_name(kV1);
  resources_.endpoints[kV1] = xds::make_resource(kV1, assignment);
  const Compiled tls = compile(resources_, compiled_.snapshot.get(), names_);
  const Cluster& v1 = *tls.snapshot->clusters[cluster(kV1).id];
  const EndpointSet& endpoints = *tls.snapshot->endpoints[v1.id];
  const auto* secured = find_transport(v1, endpoints.metadata_of(endpoints.endpoints[0].transport_metadata));
  const auto* plain = find_transport(v1, endpoints.metadata_of(endpoints.endpoints[1].transport_metadata));
  ASSERT_NE(secured, nullptr);
  ASSERT_NE(secured->transport.tls, nullptr);
  EXPECT_FALSE(secured->plain);
  EXPECT_EQ(secured->transport.tls->common.alpn, std::vector<std::string>{"istio"});
  EXPECT_EQ(secured->transport.tls->common.validation_secret, "ROOTCA");
  EXPECT_EQ(secured->transport.tls->common.version_max, TlsVersion::kTls13);
  ASSERT_NE(plain, nullptr);
  EXPECT_TRUE(plain->plain);
  EXPECT_EQ(v1.unsupported, "");
}

// ---- refusals -----------------------------------------------------------------------------------------------------

class Refusal : public testing::Test {
 protected:
  Compiled with_route(const std::string& route, const Snapshot* previous = nullptr) {
    resources_.routes.clear();
    add_routes(R"([{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["a"], "routes": [)" + route +
                   R"(]}, {"name": "rest", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]}])",
               resources_);
    return compile(resources_, previous, names_);
  }
  static Outcome outcome(const Compiled& compiled) {
    return decide(*compiled.snapshot->route_tables.at("80"), {"GET", "http", "a", "/", nullptr}, 0).outcome;
  }

  xds::Resources resources_;
  ClusterNames names_;
};

TEST_F(Refusal, OfARouteNamesThePath) {
  const std::string to = R"("route": {"cluster": "c"})";
  const struct {
    std::string route;
    std::string message;  // after "route 80, virtual host a: routes[0]."
  } kCases[] = {
      {R"({"match": {"safe_regex": {"regex": "("}}, )" + to + "}", "match.safe_regex: regex \"(\": missing ): ("},
      {R"({"match": {}, )" + to + "}", "match: needs prefix, path, safe_regex or path_separated_prefix"},
      {R"({"match": {"prefix": "/", "headers": [{"name": ":nope"}]}, )" + to + "}", "match.headers[0]: unknown header :nope"},
      {R"({"match": {"prefix": "/", "headers": [{"name": "x", "string_match": {}}]}, )" + to + "}", "match.headers[0].string_match: asks for nothing"},
      {R"({"match": {"path_separated_prefix": "/a/"}, )" + to + "}", "match.path_separated_prefix: must begin with '/' and not end with it"},
      {R"({"match": {"path_match_policy": {}}, )" + to + "}", "match: path_match_policy (URI template) is not supported"},
      {R"({"match": {"prefix": "/", "tls_context": {}}, )" + to + "}", "match.tls_context: is not supported"},
      {R"({"match": {"prefix": "/"}})", "has no action"},
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "timeout": "-1s"}})", "route.timeout: a duration must not be negative"},
      {R"({"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "c", "weight": 0}]}}})",
       "route.weighted_clusters: the weights must not all be 0"},
      {R"({"match": {"prefix": "/"}, "direct_response": {"status": 99}})", "direct_response: status must be 200 to 599"},
      {R"({"match": {"prefix": "/"}, "request_headers_to_add": [{"header": {"key": "x", "value": "50%"}}], )" + to + "}",
       "headers_to_add[0]: '%' without its pair in \"50%\"; write %% for a percent sign"},
      {R"({"match": {"prefix": "/"}, "request_headers_to_add": [{"header": {"key": "Host", "value": "x"}}], )" + to + "}",
       "headers_to_add[0]: host cannot be added or removed"},
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "\\1"}}})",
       "route.regex_rewrite: substitution \"\\1\" asks for group 1, and the regex has 0"},
  };
  for (const auto& test : kCases) {
    const Compiled compiled = with_route(test.route);
    ASSERT_EQ(compiled.refused.size(), 1u) << test.route << messages(compiled.refused);
    const std::string text = compiled.refused[0].message;
    EXPECT_EQ(text.substr(0, text.find("]") + 1), "route 80, virtual host a: routes[0]");
    EXPECT_TRUE(text.ends_with(test.message)) << text;
    // No last good version: the host answers for itself, and does not fall through to the one for "*".
    EXPECT_EQ(outcome(compiled), Outcome::kUnsupported);
  }
}

TEST_F(Refusal, OfAnActionIsAnsweredByTheRoute) {
  const struct {
    std::string route;
    std::string path;
  } kCases[] = {
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "hedge_policy": {"initial_requests": 2}}})",
       "route.hedge_policy: initial_requests: only 1 is supported"},
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "priority": "HIGH"}})", "route.priority: is not supported"},
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_on": "5xx", "per_try_idle_timeout": "1s"}}})",
       "route.retry_policy.per_try_idle_timeout: is not supported"},
      {R"({"match": {"prefix": "/"}, "non_forwarding_action": {}})", "its action is not supported"},
      {R"({"match": {"prefix": "/"}, "route": {"cluster": "c"}, "request_headers_to_add": [{"header": {"key": "x", "value": "%NONSENSE%"}}]})",
       "headers_to_add[0]: operator %NONSENSE% is not supported"},
  };
  for (const auto& test : kCases) {
    const Compiled compiled = with_route(test.route);
    EXPECT_EQ(messages(compiled.refused), "") << test.route;
    EXPECT_EQ(outcome(compiled), Outcome::kUnsupported);
    EXPECT_TRUE(messages(compiled.notes).find(test.path) != std::string::npos) << messages(compiled.notes);
  }
}

TEST_F(Refusal, KeepsTheLastGoodVersionAndIsToldEveryTime) {
  const Compiled good = with_route(R"({"match": {"prefix": "/"}, "route": {"cluster": "c"}})");
  const Compiled bad = with_route(R"({"match": {"safe_regex": {"regex": "("}}, "route": {"cluster": "c"}})", good.snapshot.get());
  EXPECT_EQ(bad.refused.size(), 1u);
  EXPECT_EQ(outcome(bad), Outcome::kForward);
  const Compiled still = compile(resources_, bad.snapshot.get(), names_);
  EXPECT_EQ(still.refused.size(), 1u);
  EXPECT_EQ(outcome(still), Outcome::kForward);
  EXPECT_EQ(still.snapshot->route_tables.at("80")->virtual_hosts, good.snapshot->route_tables.at("80")->virtual_hosts);
}

TEST_F(Refusal, OfAWordInRetryOnIsANote) {
  const Compiled compiled = with_route(R"({"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_on": "5xx, sometimes"}}})");
  EXPECT_EQ(messages(compiled.notes),
            "route 80, virtual host a: routes[0].route.retry_policy.retry_on: \"sometimes\" is not a condition that Envoy knows; it has no effect\n");
  EXPECT_EQ(outcome(compiled), Outcome::kForward);
}

TEST_F(Refusal, OfADomainThatIsTaken) {
  add_routes(R"([{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["x", "*.y"]}, {"name": "b", "domains": ["X", "*.y", "b"]}]}])", resources_);
  const Compiled compiled = compile(resources_, nullptr, names_);
  EXPECT_EQ(messages(compiled.refused),
            "route 80: domain \"x\" of virtual host b belongs to another one already\n"
            "route 80: domain \"*.y\" of virtual host b belongs to another one already\n");
  const RouteTable& table = *compiled.snapshot->route_tables.at("80");
  EXPECT_EQ(find_virtual_host(table, "x")->name, "a");
  EXPECT_EQ(find_virtual_host(table, "b")->name, "b");
}

TEST_F(Refusal, OfACluster) {
  const struct {
    const char* json;
    const char* message;
  } kCases[] = {
      {R"({"name": "c", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}, "lb_policy": "CLUSTER_PROVIDED"})",
       "cluster c: lb_policy: CLUSTER_PROVIDED belongs to clusters that find their endpoints by themselves, and to nothing else\n"},
      {R"({"name": "c", "type": "STATIC", "connect_timeout": "0s"})", "cluster c: connect_timeout: must be more than 0\n"},
      {R"({"name": "c", "type": "STATIC", "outlier_detection": {"max_ejection_percent": 101}})",
       "cluster c: outlier_detection.max_ejection_percent: must not be more than 100\n"},
  };
  for (const auto& test : kCases) {
    resources_.clusters.clear();
    add_clusters(std::string("[") + test.json + "]", resources_);
    const Compiled compiled = compile(resources_, nullptr, names_);
    EXPECT_EQ(messages(compiled.refused), test.message);
    EXPECT_EQ(compiled.snapshot->clusters[0], nullptr);
  }
  resources_.clusters.clear();
  add_clusters(R"([{"name": "c", "type": "STATIC", "health_checks": [{"timeout": "1s"}], "lb_subset_config": {"fallback_policy": "ANY_ENDPOINT"}, "max_requests_per_connection": 5}])", resources_);
  const Compiled compiled = compile(resources_, nullptr, names_);
  EXPECT_EQ(compiled.snapshot->clusters[0]->unsupported,
            "cluster c: health_checks: is not supported; cluster c: lb_subset_config: is not supported");
  EXPECT_EQ(compiled.snapshot->clusters[0]->requests_per_connection_max, 5u);
}

TEST_F(Refusal, OfBytesThatDoNotParse) {
  auto resource = std::make_shared<xds::Resource>();
  resource->name = "c";
  resource->bytes = "\xff\xff";
  resource->hash = 1;
  resources_.clusters["c"] = resource;
  resources_.listeners["c"] = resource;
  EXPECT_EQ(messages(compile(resources_, nullptr, names_).refused), "listener c: does not parse\ncluster c: does not parse\n");
}

TEST_F(Refusal, OfAFilterIsAnsweredByTheChain) {
  add_listeners(R"([{"name": "l", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
    "filter_chains": [{"filters": [{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}]}])",
                resources_);
  const Compiled compiled = compile(resources_, nullptr, names_);
  EXPECT_EQ(messages(compiled.refused), "");
  EXPECT_EQ(std::get<Unsupported>(compiled.snapshot->listeners.at("l")->filter_chains[0].handler).what,
            "listener l: filter_chains[0].filters[0]: filter f is not supported; listener l: filter_chains[0]: no filter takes the connection");
}

TEST_F(Refusal, OfErrorCodesThatAreNoList) {
  const auto with_matcher = [&](const std::string& matcher) {
    resources_.clusters.clear();
    add_clusters(R"([{"name": "c", "type": "STATIC", "outlier_detection": {"enforcing_success_rate": 0}, "typed_extension_protocol_options": {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      "outlier_detection": {"error_matcher": )" + matcher + "}}}}]", resources_);
    return compile(resources_, nullptr, names_).snapshot->clusters[0];
  };
  const std::string header = R"({"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": "429"}}]}})";
  EXPECT_EQ(with_matcher(R"({"or_match": {"rules": [)" + header + ", " + header + "]}}")->outlier->error_codes, (std::vector<std::uint16_t>{429, 429}));
  EXPECT_EQ(with_matcher(header)->unsupported, "");
  EXPECT_NE(with_matcher(R"({"any_match": true})")->unsupported, "");
}

}  // namespace
}  // namespace lateen::runtime
