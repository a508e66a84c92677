// How long compiling and deciding take, and that neither grows where it must not. Prints the figures; what it demands is
// loose enough for sanitizers and a busy machine, and still far from what a walk over all routes would cost.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>

#include "runtime/compile.h"
#include "runtime/decide.h"
#include "xds/messages.h"

// istiod still sends deprecated fields.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LATEEN_SLOWED_DOWN
#endif
#endif
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(LATEEN_SLOWED_DOWN)
constexpr bool kMeasures = true;
#else
constexpr bool kMeasures = false;
#endif

// CPU time of this thread: other processes do not count.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

envoy::config::route::v3::VirtualHost virtual_host(const std::string& name, const std::vector<std::string>& domains) {
  envoy::config::route::v3::VirtualHost host;
  host.set_name(name + ":80");
  for (const std::string& domain : domains) host.add_domains(domain);
  host.set_include_request_attempt_count(true);
  return host;
}

envoy::config::route::v3::VirtualHost from_bytes(const std::string& bytes) {
  envoy::config::route::v3::VirtualHost host;
  LATEEN_CHECK(host.ParseFromString(bytes));
  return host;
}

// The default route of istiod.
void add_route(envoy::config::route::v3::VirtualHost& host, const std::string& prefix, const std::string& cluster) {
  auto& route = *host.add_routes();
  route.set_name("default");
  route.mutable_match()->set_prefix(prefix);
  auto& action = *route.mutable_route();
  action.set_cluster(cluster);
  action.mutable_timeout();
  action.mutable_max_grpc_timeout();
  auto& retry = *action.mutable_retry_policy();
  retry.set_retry_on("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes");
  retry.mutable_num_retries()->set_value(2);
  retry.set_host_selection_retry_max_attempts(5);
  auto& predicate = *retry.add_retry_host_predicate();
  predicate.set_name("envoy.retry_host_predicates.previous_hosts");
  predicate.mutable_typed_config()->PackFrom(envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate());
  route.mutable_decorator()->set_operation(host.name() + "/*");
}

google::protobuf::Struct& istio_section(envoy::config::core::v3::Metadata& metadata) { return (*metadata.mutable_filter_metadata())["istio"]; }

envoy::config::cluster::v3::Cluster cluster_of(const std::string& id, const std::string& host, const std::string& name) {
  envoy::config::cluster::v3::Cluster cluster;
  cluster.set_name(id);
  cluster.set_alt_stat_name(id + ";");
  cluster.set_type(envoy::config::cluster::v3::Cluster::EDS);
  auto& eds = *cluster.mutable_eds_cluster_config();
  eds.set_service_name(id);
  eds.mutable_eds_config()->mutable_ads();
  eds.mutable_eds_config()->mutable_initial_fetch_timeout();
  eds.mutable_eds_config()->set_resource_api_version(envoy::config::core::v3::V3);
  cluster.mutable_connect_timeout()->set_seconds(10);
  cluster.set_lb_policy(envoy::config::cluster::v3::Cluster::LEAST_REQUEST);
  cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold();
  auto& limits = *cluster.mutable_circuit_breakers()->add_thresholds();
  for (auto* limit : {limits.mutable_max_connections(), limits.mutable_max_pending_requests(), limits.mutable_max_requests(), limits.mutable_max_retries()})
    limit->set_value(~std::uint32_t{0});
  auto& service = *(*istio_section(*cluster.mutable_metadata()).mutable_fields())["services"].mutable_list_value()->add_values()->mutable_struct_value();
  (*service.mutable_fields())["host"].set_string_value(host);
  (*service.mutable_fields())["name"].set_string_value(name);
  (*service.mutable_fields())["namespace"].set_string_value("default");
  return cluster;
}

envoy::config::endpoint::v3::ClusterLoadAssignment endpoints_of(const std::string& id, const std::string& name, int number) {
  envoy::config::endpoint::v3::ClusterLoadAssignment endpoints;
  endpoints.set_cluster_name(id);
  auto& group = *endpoints.add_endpoints();
  group.mutable_locality()->set_region("region1");
  group.mutable_locality()->set_zone("zone1");
  group.mutable_load_balancing_weight()->set_value(10);
  for (int e = 0; e < 10; ++e) {
    auto& endpoint = *group.add_lb_endpoints();
    auto& address = *endpoint.mutable_endpoint()->mutable_address()->mutable_socket_address();
    address.set_address("10." + std::to_string(number / 250) + "." + std::to_string(number % 250) + "." + std::to_string(e + 1));
    address.set_port_value(8080);
    endpoint.set_health_status(envoy::config::core::v3::HEALTHY);
    endpoint.mutable_load_balancing_weight()->set_value(1);
    (*istio_section(*endpoint.mutable_metadata()).mutable_fields())["workload"].set_string_value(name + "-v1;default;" + name + ";v1;Kubernetes");
  }
  return endpoints;
}

// As istiod sends them without mutual TLS (tests/golden): a virtual host with its short names and its default route, a
// cluster and ten endpoints in one locality a service.
xds::Resources mesh_of(int services) {
  xds::Resources out;
  envoy::config::route::v3::RouteConfiguration shell;
  shell.set_name("80");
  shell.set_ignore_port_in_host_matching(true);
  xds::RouteConfigurationParts& parts = out.routes["80"];
  parts.shell = xds::make_resource("80", shell);
  for (int i = 0; i < services; ++i) {
    const std::string name = "service-" + std::to_string(i), host = name + ".default.svc.cluster.local", id = "outbound|80||" + host;
    const std::string address = "10.96." + std::to_string(i / 250) + "." + std::to_string(i % 250);
    auto proto = virtual_host(host, {host, host + ".", name, name + ".default.svc", name + ".default", address});
    add_route(proto, "/", id);
    parts.virtual_hosts.push_back(xds::make_resource(proto.name(), proto));
    out.clusters[id] = xds::make_resource(id, cluster_of(id, host, name));
    out.endpoints[id] = xds::make_resource(id, endpoints_of(id, name, i));
  }
  return out;
}

TEST(Speed, CompilesTenThousandServices) {
  const int services = kMeasures ? 10'000 : 500;
  const xds::Resources resources = mesh_of(services);
  ClusterNames names;
  double begin = cpu_seconds();
  const Compiled first = compile(resources, nullptr, names);
  const double all = cpu_seconds() - begin;
  ASSERT_TRUE(first.refused.empty());

  xds::Resources edited = resources;
  auto changed = from_bytes(resources.routes.at("80").virtual_hosts[7]->bytes);
  changed.clear_routes();
  add_route(changed, "/new", "outbound|80||service-7.default.svc.cluster.local");
  edited.routes["80"].virtual_hosts[7] = xds::make_resource(changed.name(), changed);
  begin = cpu_seconds();
  const Compiled second = compile(edited, first.snapshot.get(), names);
  const double edit = cpu_seconds() - begin;
  std::printf("%d services: compiled in %.0f ms, one virtual host changed in %.1f ms\n", services, all * 1e3, edit * 1e3);
  EXPECT_LT(edit, all / 2);
  if (kMeasures) {
    EXPECT_LT(all, 0.5);
  }
}

// ---- memory: a process of its own, that only reads the serialised resources and compiles them -----------------------------

constexpr long kMegabytesMax = 80;
constexpr const char* kResourcesVariable = "LATEEN_SPEED_RESOURCES";

void write_text(std::ostream& out, const std::string& text) {
  const std::uint64_t size = text.size();
  out.write(reinterpret_cast<const char*>(&size), sizeof size);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

std::string read_text(std::istream& in) {
  std::uint64_t size = 0;
  in.read(reinterpret_cast<char*>(&size), sizeof size);
  std::string text(in ? size : 0, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

void write_resource(std::ostream& out, char kind, const xds::Resource& resource) {
  out.put(kind);
  write_text(out, resource.name);
  write_text(out, resource.bytes);
}

void write_resources(const xds::Resources& all, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  for (const auto& [name, parts] : all.routes) {
    write_resource(out, 'r', *parts.shell);
    for (const auto& host : parts.virtual_hosts) write_resource(out, 'v', *host);
  }
  for (const auto& [name, resource] : all.clusters) write_resource(out, 'c', *resource);
  for (const auto& [name, resource] : all.endpoints) write_resource(out, 'e', *resource);
}

xds::Resources read_resources(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  xds::Resources out;
  std::string table;
  for (int kind = in.get(); kind != std::char_traits<char>::eof(); kind = in.get()) {
    auto resource = std::make_shared<xds::Resource>();
    resource->name = read_text(in);
    resource->bytes = read_text(in);
    resource->hash = xds::content_hash(resource->bytes);
    if (kind == 'c') out.clusters[resource->name] = resource;
    else if (kind == 'e') out.endpoints[resource->name] = resource;
    else if (kind == 'v') out.routes[table].virtual_hosts.push_back(resource);
    else out.routes[table = resource->name].shell = resource;
  }
  return out;
}

// Runs only in the process that the next test starts.
TEST(Speed, MemoryOfACompiledMesh) {
  const char* path = std::getenv(kResourcesVariable);
  if (path == nullptr) GTEST_SKIP() << "is run by CompiledMeshIsMeasuredAlone";
  const xds::Resources resources = read_resources(path);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  ClusterNames names;
  const double begin = cpu_seconds();
  const Compiled compiled = compile(resources, nullptr, names);
  const double seconds = cpu_seconds() - begin;
  getrusage(RUSAGE_SELF, &after);
  ASSERT_TRUE(compiled.refused.empty());
  std::printf("%zu services of ten endpoints: compiled in %.0f ms; %.1f MB with the resources read, %.1f MB at most after compiling\n",
              resources.clusters.size(), seconds * 1e3, static_cast<double>(before.ru_maxrss) / 1024, static_cast<double>(after.ru_maxrss) / 1024);
  std::fflush(stdout);
  // Of what the process had at most, the parsed messages that compile() works on included.
  EXPECT_LT(after.ru_maxrss / 1024, kMegabytesMax);
}

TEST(Speed, CompiledMeshIsMeasuredAlone) {
  if (!kMeasures) GTEST_SKIP() << "figures are only taken of an optimised build";
  const std::string path = testing::TempDir() + "lateen_speed_" + std::to_string(getpid());
  write_resources(mesh_of(10'000), path);
  const std::string command = std::string(kResourcesVariable) + "=" + path + " /proc/" + std::to_string(getpid()) +
                              "/exe --gtest_brief=1 --gtest_filter=Speed.MemoryOfACompiledMesh";
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::remove(path.c_str());
}

// Seconds of a decide() among `routes` routes of one virtual host, the best of several rounds.
double decide_seconds(int routes) {
  xds::Resources resources;
  envoy::config::route::v3::RouteConfiguration shell;
  shell.set_name("80");
  shell.set_ignore_port_in_host_matching(true);
  auto host = virtual_host("reviews", {"reviews", "reviews.default"});
  for (int i = 1; i < routes; ++i) add_route(host, "/path-" + std::to_string(i) + "/", "c");
  add_route(host, "/", "c");
  resources.routes["80"] = {xds::make_resource("80", shell), {xds::make_resource(host.name(), host)}};
  ClusterNames names;
  const Compiled compiled = compile(resources, nullptr, names);
  const RouteTable& table = *compiled.snapshot->route_tables.at("80");
  http::HeaderMap headers;
  headers.add("user-agent", "curl");
  const std::string last = "/path-" + std::to_string(routes - 1) + "/x?y=z";
  constexpr int kRounds = 9, kRequests = 20'000;
  double best = 1e9;
  std::uint64_t forwarded = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = cpu_seconds();
    for (int i = 0; i < kRequests; ++i) {
      // The last rule, and the catch-all behind it.
      const std::string_view path = i % 2 == 0 ? std::string_view(last) : "/reviews/1";
      const Decision decision = decide(table, {"GET", "http", "reviews.default:80", path, &headers}, static_cast<std::uint64_t>(i));
      forwarded += decision.outcome == Outcome::kForward ? 1 : 0;
    }
    best = std::min(best, (cpu_seconds() - begin) / kRequests);
  }
  EXPECT_EQ(forwarded, std::uint64_t{kRounds} * kRequests);
  return best;
}

TEST(Speed, DecidingDoesNotGrowWithTheNumberOfRoutes) {
  const double few = decide_seconds(10), many = decide_seconds(1'000), most = decide_seconds(10'000);
  std::printf("decide(): %.0f ns with 10 routes, %.0f ns with 1,000, %.0f ns with 10,000\n", few * 1e9, many * 1e9, most * 1e9);
  EXPECT_LT(many, few * 4);
  EXPECT_LT(most, few * 4);
}

}  // namespace
}  // namespace lateen::runtime
