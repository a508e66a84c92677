// lateen xds: what translate() makes of files, as istiod would send it to one proxy.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/xds_input.h"
#include "model/read.h"
#include "translate/envoy_filter.h"
#include "xds/messages.h"

namespace lateen::cli {
namespace {

constexpr Flag kFlags[] = {
    {"filename", 'f', "FILE", "manifests to read; may be repeated"},
    {"mesh", 0, "FILE", "Istio's mesh.yaml; may be repeated, the later over the earlier"},
    {"node", 0, "FILE", "the Envoy node that asks, as JSON"},
    {"output", 'o', "DIR", "where clusters.json, endpoints.json, listeners.json and routes.json go"},
    {"compat", 0, "MODE", "lateen (default) or istio: exactly what istiod sends"},
};
constexpr Usage kUsage{
    .synopsis = "lateen xds -f FILE... [--mesh FILE...] --node FILE -o DIR [--compat lateen|istio]",
    .text = "Writes the Envoy configuration that one proxy gets for these manifests, as protobuf JSON sorted by name.\n"
            "With --compat istio, input that istiod refuses is refused: nothing is written. Otherwise what can be read is\n"
            "translated, whatever admission would say.",
    .flags = kFlags,
    .examples = "  lateen xds -f base.yaml -f input.yaml --mesh mesh.yaml --node node.json -o out --compat istio",
};

int failed(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", to_string(error).c_str());
  return 1;
}

Result<NamedInput> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return NamedInput{path, text.str()};
}

Result<std::vector<NamedInput>> read_files(std::span<const std::string> paths) {
  std::vector<NamedInput> out;
  for (const std::string& path : paths) {
    LATEEN_TRY(NamedInput input, read_file(path));
    out.push_back(std::move(input));
  }
  return out;
}

Result<void> write_array(const std::filesystem::path& path, std::string_view type,
                         const std::map<std::string, std::string>& resources) {
  std::ofstream file(path, std::ios::binary);
  file << "[";
  const char* separator = "\n";
  for (const auto& [name, bytes] : resources) {
    LATEEN_TRY(const std::string json, xds::resource_json(type, bytes));
    file << separator << json;
    separator = ",\n";
  }
  file << "\n]\n";
  file.close();
  if (!file) return fail(ErrorCode::kSystem, "cannot write " + path.string());
  return {};
}

std::map<std::string, std::string> bytes_of(const xds::ResourceMap& resources) {
  std::map<std::string, std::string> out;
  for (const auto& [name, resource] : resources) out[name] = resource->bytes;
  return out;
}

Result<void> write_all(const std::filesystem::path& folder, const xds::Resources& resources) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::kSystem, "cannot make " + folder.string() + ": " + error.message());
  LATEEN_TRY_VOID(write_array(folder / "clusters.json", xds::kClusterType, bytes_of(resources.clusters)));
  LATEEN_TRY_VOID(write_array(folder / "endpoints.json", xds::kEndpointType, bytes_of(resources.endpoints)));
  LATEEN_TRY_VOID(write_array(folder / "listeners.json", xds::kListenerType, bytes_of(resources.listeners)));
  std::map<std::string, std::string> routes;
  for (const auto& [name, parts] : resources.routes) routes[name] = xds::route_configuration_bytes(parts);
  LATEEN_TRY_VOID(write_array(folder / "routes.json", xds::kRouteType, routes));
  const std::filesystem::path extensions = folder / "ecds.json";
  if (!resources.extension_configs.empty())
    return write_array(extensions, xds::kExtensionConfigType, bytes_of(resources.extension_configs));
  std::filesystem::remove(extensions, error);  // of an earlier run
  return {};
}

// istiod reads no such kinds: what is in the cluster beside its own objects does not stop it.
bool is_of_istiod(const Diagnostic& problem) {
  constexpr std::string_view kOthers[] = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "NetworkPolicy"};
  const std::string_view kind = std::string_view(problem.origin.object).substr(0, problem.origin.object.find(' '));
  return std::find(std::begin(kOthers), std::end(kOthers), kind) == std::end(kOthers);
}

Result<void> run(const ParsedFlags& flags) {
  translate::Options options;
  if (flags.get("compat", "lateen") == "istio") {
    options.compat = translate::Compat::kIstio;
    options.inbound = true;
  }
  LATEEN_TRY(const NamedInput node, read_file(flags.get("node", "")));
  LATEEN_TRY(const translate::View view, read_node(node));
  LATEEN_TRY(const std::vector<NamedInput> manifests, read_files(flags.all("filename")));
  LATEEN_TRY(const std::vector<NamedInput> configs, read_files(flags.all("mesh")));
  std::vector<Diagnostic> problems;
  model::Mesh mesh = read_mesh(manifests, problems);
  for (const NamedInput& config : configs) {
    model::ReadMeshConfig read = model::read_mesh_config(config.text, config.name, mesh.config);
    mesh.config = std::move(read.config);
    problems.insert(problems.end(), read.problems.begin(), read.problems.end());
  }
  apply_mesh_config(mesh.config, options);
  mesh.config = mesh_config_for(node, mesh.config, problems);
  // Istio's settings for the edge are for gateways.
  if (options.compat == translate::Compat::kIstio && view.kind == translate::View::Kind::kSidecar)
    mesh.config.connection_settings.profile = model::ConnectionSettings::Profile::kSidecar;
  for (const NamedInput& input : manifests) options.node_localities.merge(read_node_localities(input));
  const std::vector<Diagnostic> patches = translate::check_envoy_filters(mesh, options.compat);
  problems.insert(problems.end(), patches.begin(), patches.end());
  if (options.compat == translate::Compat::kIstio) std::erase_if(problems, [](const Diagnostic& problem) { return !is_of_istiod(problem); });
  for (const Diagnostic& problem : problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (options.compat == translate::Compat::kIstio && has_errors(problems))
    return fail(ErrorCode::kInvalidConfig, "nothing is written: the input is refused");
  return write_all(flags.get("output", ""), translate::translate(mesh, view, options).resources);
}

}  // namespace

int run_xds(Args args) {
  const auto flags = parse_flags(args, kFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::printf("%s", to_text(kUsage).c_str());
    return 0;
  }
  if (!flags->positional.empty()) return usage_error(kUsage, "unexpected " + flags->positional.front());
  for (const char* needed : {"filename", "node", "output"})
    if (!flags->has(needed)) return usage_error(kUsage, "--" + std::string(needed) + " is missing");
  const std::string compat = flags->get("compat", "lateen");
  if (compat != "lateen" && compat != "istio") return usage_error(kUsage, "--compat is lateen or istio");
  if (const auto done = run(*flags); !done) return failed(done.error());
  return 0;
}

}  // namespace lateen::cli
