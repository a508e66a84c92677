#include "golden_case.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/extension.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "cli/xds_input.h"
#include "model/read.h"
#include "translate/translate.h"
#include "xds/messages.h"
#include "xds/types.h"

namespace lateen::golden {
namespace {

namespace pb = google::protobuf;
const std::filesystem::path kFolder = std::filesystem::path(LATEEN_SOURCE_DIR) / "tests" / "golden";

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "golden: %s\n", message.c_str());
  std::exit(2);
}

cli::NamedInput read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) give_up("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return {path.string(), text.str()};
}

pb::Value parse(const std::string& json, const std::string& name) {
  pb::Value value;
  const auto status = pb::util::JsonStringToMessage(json, &value);
  if (!status.ok()) give_up(name + ": " + status.ToString());
  return value;
}

// "name: value" lines of the corpus as one mapping; null where the case has no such resource.
pb::Struct read_pieces(const std::filesystem::path& path) {
  return parse(read_file(path).text, path.string()).struct_value();
}

std::unique_ptr<pb::Message> message_for(const std::string& key) {
  namespace routes = envoy::config::route::v3;
  if (key.starts_with("clusters/")) return std::make_unique<envoy::config::cluster::v3::Cluster>();
  if (key.starts_with("endpoints/")) return std::make_unique<envoy::config::endpoint::v3::ClusterLoadAssignment>();
  if (key.starts_with("ecds/")) return std::make_unique<envoy::config::core::v3::TypedExtensionConfig>();
  if (key.starts_with("listeners/")) return std::make_unique<envoy::config::listener::v3::Listener>();
  const bool is_host = std::count(key.begin(), key.end(), '/') > 1 && !key.ends_with(".sock");  // a table may be a socket's
  if (is_host) return std::make_unique<routes::VirtualHost>();
  return std::make_unique<routes::RouteConfiguration>();
}

std::string json_of(const pb::Message& message) {
  const auto json = xds::to_json(message);
  if (!json) give_up(json.error().message);
  return *json;
}

// Both sides go through the messages and one printer, so that only meaning is compared.
std::string canonical(const std::string& key, const pb::Value& value) {
  std::string json;
  if (const auto status = pb::util::MessageToJsonString(value, &json); !status.ok()) give_up(status.ToString());
  const auto message = message_for(key);
  if (const auto read = xds::from_json(json, *message, xds::UnknownFields::kRefuse); !read) give_up(key + ": " + read.error().message);
  return json_of(*message);
}

void add(Pieces& out, const char* kind, std::string_view type, const xds::ResourceMap& resources) {
  for (const auto& [name, resource] : resources) {
    const auto json = xds::resource_json(type, resource->bytes);
    if (!json) give_up(json.error().message);
    out[std::string(kind) + "/" + name] = *json;
  }
}

// Lists whose order means nothing (the corpus's README).
bool is_set(const std::string& field) {
  return field == "domains" || field == "lb_endpoints" || field == "endpoints";
}

void sort_sets(pb::Value& value, const std::string& field) {
  if (value.has_struct_value()) {
    for (auto& [name, below] : *value.mutable_struct_value()->mutable_fields()) sort_sets(below, name);
  } else if (value.has_list_value()) {
    auto& values = *value.mutable_list_value()->mutable_values();
    for (auto& below : values) sort_sets(below, "");
    if (is_set(field))
      std::sort(values.begin(), values.end(), [](const pb::Value& a, const pb::Value& b) { return xds::serialize(a) < xds::serialize(b); });
  }
}

void compare(const pb::Value* wanted, const pb::Value* got, const std::string& path, std::vector<std::string>& out) {
  if (wanted == nullptr || got == nullptr) {
    out.push_back(path + (wanted == nullptr ? ": too much " + json_of(*got) : ": missing " + json_of(*wanted)));
  } else if (wanted->has_struct_value() && got->has_struct_value()) {
    const auto& a = wanted->struct_value().fields();
    const auto& b = got->struct_value().fields();
    std::set<std::string> names;
    for (const auto& [name, value] : a) names.insert(name);
    for (const auto& [name, value] : b) names.insert(name);
    for (const std::string& name : names) {
      const auto in_a = a.find(name), in_b = b.find(name);
      compare(in_a == a.end() ? nullptr : &in_a->second, in_b == b.end() ? nullptr : &in_b->second, path + "." + name, out);
    }
  } else if (wanted->has_list_value() && got->has_list_value()) {
    const auto& a = wanted->list_value().values();
    const auto& b = got->list_value().values();
    for (int i = 0; i < std::max(a.size(), b.size()); ++i)
      compare(i < a.size() ? &a.at(i) : nullptr, i < b.size() ? &b.at(i) : nullptr, path + "[" + std::to_string(i) + "]", out);
  } else if (xds::serialize(*wanted) != xds::serialize(*got)) {
    out.push_back(path + ": wanted " + json_of(*wanted) + ", got " + json_of(*got));
  }
}

void overlay(Pieces& out, const pb::Struct& pieces) {
  for (const auto& [key, value] : pieces.fields()) {
    if (value.kind_case() == pb::Value::kNullValue) out.erase(key);
    else out[key] = canonical(key, value);
  }
}

template <class T>
T value_or_give_up(Result<T> result) {
  if (!result) give_up(to_string(result.error()));
  return *std::move(result);
}

}  // namespace

std::vector<Case> all_cases() {
  std::vector<Case> out;
  for (const char* folder : {"cases", "translated"})
    for (const auto& entry : std::filesystem::directory_iterator(kFolder / folder))
      if (entry.is_directory()) out.push_back({entry.path().filename().string(), entry.path().string()});
  std::sort(out.begin(), out.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return out;
}

Pieces expected(const Case& golden) {
  static std::map<std::string, Pieces> bases;
  const translate::View view = value_or_give_up(cli::read_node(read_file(golden.folder + "/node.json")));
  const std::string base = view.kind == translate::View::Kind::kRouter ? "router.json" : "sidecar.json";
  if (!bases.contains(base)) overlay(bases[base], read_pieces(kFolder / base));
  Pieces out = bases[base];
  overlay(out, read_pieces(golden.folder + "/expected.json"));
  return out;
}

Pieces translated(const Case& golden) {
  translate::Options options;
  options.compat = translate::Compat::kIstio;
  options.inbound = true;
  const std::vector<cli::NamedInput> manifests{read_file(kFolder / "base-k8s.yaml"), read_file(golden.folder + "/input.yaml")};
  std::vector<std::filesystem::path> configs{kFolder / "golden-mesh.yaml"};
  if (std::filesystem::exists(golden.folder + "/mesh.yaml")) configs.emplace_back(golden.folder + "/mesh.yaml");
  std::vector<Diagnostic> problems;
  model::Mesh mesh = cli::read_mesh(manifests, problems);
  for (const auto& path : configs) {
    const cli::NamedInput config = read_file(path);
    mesh.config = model::read_mesh_config(config.text, config.name, mesh.config).config;
  }
  cli::apply_mesh_config(mesh.config, options);
  const cli::NamedInput node = read_file(golden.folder + "/node.json");
  mesh.config = cli::mesh_config_for(node, mesh.config, problems);
  for (const cli::NamedInput& input : manifests) options.node_localities.merge(cli::read_node_localities(input));
  const translate::View view = value_or_give_up(cli::read_node(node));
  const xds::Resources resources = translate::translate(mesh, view, options).resources;
  Pieces out;
  add(out, "clusters", xds::kClusterType, resources.clusters);
  add(out, "endpoints", xds::kEndpointType, resources.endpoints);
  add(out, "listeners", xds::kListenerType, resources.listeners);
  add(out, "ecds", xds::kExtensionConfigType, resources.extension_configs);
  for (const auto& [table, parts] : resources.routes) {
    out["routes/" + table] = value_or_give_up(xds::resource_json(xds::kRouteType, parts.shell->bytes));
    for (const auto& host : parts.virtual_hosts)
      out["routes/" + table + "/" + host->name] =
          value_or_give_up(xds::resource_json("type.googleapis.com/envoy.config.route.v3.VirtualHost", host->bytes));
  }
  return out;
}

std::vector<std::string> differences(const Pieces& wanted, const Pieces& got) {
  std::set<std::string> keys;
  for (const auto& [key, json] : wanted) keys.insert(key);
  for (const auto& [key, json] : got) keys.insert(key);
  std::vector<std::string> out;
  for (const std::string& key : keys) {
    const auto a = wanted.find(key), b = got.find(key);
    if (a != wanted.end() && b != got.end() && a->second == b->second) continue;
    if (b == got.end()) out.push_back(key + ": missing");
    if (a == wanted.end()) out.push_back(key + ": too much");
    if (a == wanted.end() || b == got.end()) continue;
    pb::Value one = parse(a->second, key), other = parse(b->second, key);
    sort_sets(one, "");
    sort_sets(other, "");
    compare(&one, &other, key + ": ", out);
  }
  return out;
}

}  // namespace lateen::golden
