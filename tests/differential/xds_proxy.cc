// Our data plane on xDS resources of files, without translation: xds_proxy DIR LISTENER...
//
// DIR holds clusters.json, endpoints.json, listeners.json, routes.json: arrays of resources, as `lateen xds` writes them.
// Access logs of all listeners go to ours-access.log there. Binds every named listener to a free port of 127.0.0.1, prints "NAME PORT" for each and then "ready"; ends when its
// standard input does. What compile() says goes to standard error. Exit code 1: something was refused.
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "net/epoll_loop.h"
#include "proxy/proxy.h"
#include "runtime/compile.h"
#include "xds/messages.h"
#include "xds/types.h"

namespace lateen {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text ? text.str() : "[]";
}

bool input_ended() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, 0) <= 0) return false;
  char byte = 0;
  return read(STDIN_FILENO, &byte, 1) <= 0;
}

// Calls `take` with each message of the file's array. False: the file is no such array.
template <class Message, class Take>
bool read_array(const std::string& path, Take take) {
  google::protobuf::ListValue list;
  if (!google::protobuf::util::JsonStringToMessage(read_file(path), &list).ok()) return false;
  for (const google::protobuf::Value& value : list.values()) {
    std::string json;
    Message message;
    if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) return false;
    if (const auto read = xds::from_json(json, message, xds::UnknownFields::kRefuse); !read) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), read.error().message.c_str());
      return false;
    }
    take(std::move(message));
  }
  return true;
}

bool read_resources(const std::string& folder, xds::Resources& out) {
  namespace v3 = envoy::config;
  const auto put = [](xds::ResourceMap& map) {
    return [&map](const auto& message) { map[message.name()] = xds::make_resource(message.name(), message); };
  };
  const auto assignment = [&](const v3::endpoint::v3::ClusterLoadAssignment& message) {
    out.endpoints[message.cluster_name()] = xds::make_resource(message.cluster_name(), message);
  };
  const auto table = [&](v3::route::v3::RouteConfiguration message) {
    xds::RouteConfigurationParts parts;
    for (const auto& host : message.virtual_hosts()) parts.virtual_hosts.push_back(xds::make_resource(host.name(), host));
    message.clear_virtual_hosts();
    parts.shell = xds::make_resource(message.name(), message);
    out.routes[message.name()] = std::move(parts);
  };
  return read_array<v3::cluster::v3::Cluster>(folder + "/clusters.json", put(out.clusters)) &&
         read_array<v3::endpoint::v3::ClusterLoadAssignment>(folder + "/endpoints.json", assignment) &&
         read_array<v3::listener::v3::Listener>(folder + "/listeners.json", put(out.listeners)) &&
         read_array<v3::route::v3::RouteConfiguration>(folder + "/routes.json", table);
}

int run(const std::string& folder, int count, char** listeners) {
  xds::Resources resources;
  if (!read_resources(folder, resources)) return 1;
  runtime::ClusterNames names;
  const runtime::Compiled compiled = runtime::compile(resources, nullptr, names);
  for (const Error& error : compiled.notes) std::fprintf(stderr, "note: %s\n", to_string(error).c_str());
  for (const Error& error : compiled.refused) std::fprintf(stderr, "refused: %s\n", to_string(error).c_str());

  auto loop = net::EpollLoop::create();
  if (!loop) return 1;
  proxy::Options options;
  options.concurrency = 1;
  options.seed = 1;
  options.access_log = folder + "/ours-access.log";
  auto proxy = proxy::Proxy::start(options, **loop);
  if (!proxy) return 1;
  const proxy::ViewId view = (*proxy)->add_view({});
  bool adopted = false;
  (*proxy)->adopt(view, compiled.snapshot, [&] { adopted = true; });
  while (!adopted) (*loop)->run_once(std::chrono::milliseconds(100));
  const net::Address at{net::Address::Family::kIpv4, "127.0.0.1", 0};
  for (int i = 0; i < count; ++i) {
    proxy::ListenSpec spec;
    spec.view = view;
    spec.listener = listeners[i];
    const auto bound = (*proxy)->listen(listeners[i], at, spec);
    if (!bound) {
      std::fprintf(stderr, "%s: %s\n", listeners[i], to_string(bound.error()).c_str());
      return 1;
    }
    std::printf("%s %u\n", listeners[i], bound->address.port);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  while (!input_ended()) (*loop)->run_once(std::chrono::milliseconds(50));
  return compiled.refused.empty() ? 0 : 1;
}

}  // namespace
}  // namespace lateen

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: xds_proxy DIR LISTENER...\n");
    return 2;
  }
  return lateen::run(argv[1], argc - 2, argv + 2);
}
