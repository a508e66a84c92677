#include <charconv>
#include <cstdio>
#include <optional>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/mesh_files.h"
#include "cli/mesh_views.h"
#include "cli/proxy_config.h"
#include "text/edit_distance.h"

namespace lateen::cli {

namespace {

constexpr Flag kFlags[] = {
    {"output", 'o', "FORM", "table (default; short is the same), json or yaml"},
    {"namespace", 'n', "NS", "of the workload (default)"},
    {"file", 'f', "F", "read Envoy's /config_dump (or /clusters?format=json for endpoints) from a file"},
    {"fqdn", 0, "HOST", "cluster: of this service"},
    {"direction", 0, "D", "cluster: inbound or outbound"},
    {"subset", 0, "S", "cluster: of this subset"},
    {"port", 0, "N", "cluster, endpoint, listener: of this port"},
    {"name", 0, "NAME", "route: of this name"},
    {"address", 0, "IP", "endpoint, listener: of this address"},
    {"cluster", 0, "NAME", "endpoint: of this cluster"},
    {"status", 0, "S", "endpoint: healthy, unhealthy ..."},
    {"compat", 0, "MODE", "istio: istioctl's columns and no more (the mesh's own mode if not given)"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kUsage{
    .synopsis = "lateen proxy-config cluster|endpoint|route|listener [WORKLOAD] [flags]",
    .text = "Shows what the data plane has for a workload ([NAMESPACE/]NAME, NAME.NAMESPACE or deploy/NAME), in istioctl's\n"
            "words. EJECTED counts the endpoints that outlier detection has taken out, and when the next one comes back.",
    .flags = kFlags,
    .examples = "  lateen proxy-config cluster sleep\n"
                "  lateen proxy-config endpoint sleep --cluster 'outbound|9080|v1|reviews.default.svc.cluster.local'\n"
                "  lateen proxy-config route sleep --name 9080 -o json\n"
                "  lateen proxy-config listener -f config_dump.json",
};

constexpr std::size_t kDumpBytesMax = 256 * 1024 * 1024;

enum class Kind { kCluster, kEndpoint, kRoute, kListener };

Result<Kind> parse_kind(const std::string& word) {
  if (word == "cluster" || word == "clusters" || word == "c") return Kind::kCluster;
  if (word == "endpoint" || word == "endpoints" || word == "ep") return Kind::kEndpoint;
  if (word == "route" || word == "routes" || word == "r") return Kind::kRoute;
  if (word == "listener" || word == "listeners" || word == "l") return Kind::kListener;
  std::string message = "there is no \"" + word + "\" to show";
  const std::string_view known[] = {"cluster", "endpoint", "route", "listener"};
  if (const auto near = text::closest(word, known)) message += "; did you mean " + std::string(*near) + "?";
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

Result<ProxyConfigFilter> filter_of(const ParsedFlags& flags) {
  ProxyConfigFilter filter;
  filter.fqdn = flags.get("fqdn", "");
  filter.direction = flags.get("direction", "");
  filter.subset = flags.get("subset", "");
  filter.name = flags.get("name", "");
  filter.address = flags.get("address", "");
  filter.cluster = flags.get("cluster", "");
  filter.status = flags.get("status", "");
  if (const auto port = flags.get("port")) {
    const auto [end, error] = std::from_chars(port->data(), port->data() + port->size(), filter.port);
    if (error != std::errc() || end != port->data() + port->size() || filter.port == 0 || filter.port > 65'535)
      return fail(ErrorCode::kInvalidConfig, "--port " + *port + " is no port");
  }
  return filter;
}

std::int64_t number(const text::Node& node, std::string_view key) {
  std::int64_t value = 0;
  if (const text::Node* found = node.find(key))
    std::from_chars(found->scalar.data(), found->scalar.data() + found->scalar.size(), value);
  return value;
}

std::string text_of(const text::Node& node, std::string_view key) {
  const text::Node* found = node.find(key);
  return found == nullptr ? std::string() : std::string(found->text());
}

struct LiveState {
  std::string compat;
  Ejections ejections;
};
Result<LiveState> ask_state(const AdminClient& mesh, const std::string& view) {
  LATEEN_TRY(const text::Node answer, mesh.call_json("GET", "/lateen/clusters", {{"view", view}}));
  LiveState state;
  state.compat = text_of(answer, "compat");
  const text::Node* clusters = answer.find("clusters");
  if (clusters == nullptr) return state;
  for (const text::Node& cluster : clusters->items) {
    EjectionState& one = state.ejections[text_of(cluster, "name")];
    const text::Node* endpoints = cluster.find("endpoints");
    if (endpoints == nullptr) continue;
    for (const text::Node& endpoint : endpoints->items) {
      ++one.endpoints;
      const text::Node* ejected = endpoint.find("ejected");
      if (ejected == nullptr || ejected->scalar != "true") continue;
      const std::int64_t left = number(endpoint, "ejection_left_ms");
      one.returns_in_ms = one.ejected == 0 ? left : std::min(one.returns_in_ms, left);
      ++one.ejected;
      one.left_ms_by_address[text_of(endpoint, "address")] = left;
    }
  }
  return state;
}

// The page of Envoy that the kind is read from: out of the file, or from the mesh.
Result<std::string> read_page(Kind kind, const ParsedFlags& flags, const AdminClient& mesh, const std::string& view) {
  if (const auto file = flags.get("file")) return read_file(*file, kDumpBytesMax);
  if (kind == Kind::kEndpoint) return mesh.call("GET", "/clusters", {{"format", "json"}, {"view", view}});
  return mesh.call("GET", "/config_dump", {{"view", view}});
}

Result<std::string> table_of(Kind kind, std::string_view page, const ProxyConfigFilter& filter, const Ejections* ejections) {
  switch (kind) {
    case Kind::kCluster: return cluster_table(page, filter, ejections);
    case Kind::kEndpoint: return endpoint_table(page, filter, ejections);
    case Kind::kRoute: return route_table(page, filter);
    case Kind::kListener: return listener_table(page, filter);
  }
  return std::string();
}

Result<std::string> json_of(Kind kind, std::string_view page, const ProxyConfigFilter& filter) {
  switch (kind) {
    case Kind::kCluster: return cluster_json(page, filter);
    case Kind::kEndpoint: return endpoint_json(page, filter);
    case Kind::kRoute: return route_json(page, filter);
    case Kind::kListener: return listener_json(page, filter);
  }
  return std::string();
}

// "" for the mesh's default client. A bare name stays bare: it may be a gateway's, which is in its own namespace.
Result<std::string> view_of(const ParsedFlags& flags) {
  if (flags.positional.size() < 2) return std::string();
  const std::string& given = flags.positional[1];
  if (given.starts_with("inbound:")) return given;   // as /lateen/views has it
  LATEEN_TRY(Identity identity, parse_identity(given));
  if (const auto namespace_ = flags.get("namespace")) {
    identity.namespace_ = *namespace_;
  } else if (given.ends_with(identity.name) && given.find('.') == std::string::npos && identity.namespace_ == "default") {
    return identity.name;
  }
  return identity.namespace_ + "/" + identity.name;
}

Result<std::string> show(Kind kind, const ParsedFlags& flags, const std::string& form) {
  LATEEN_TRY(const ProxyConfigFilter filter, filter_of(flags));
  LATEEN_TRY(const std::string view, view_of(flags));
  const AdminClient mesh(flags.get("admin", ""));
  LATEEN_TRY(const std::string page, read_page(kind, flags, mesh, view));
  if (form == "json") return json_of(kind, page, filter);
  if (form == "yaml") {
    LATEEN_TRY(const std::string json, json_of(kind, page, filter));
    return json_to_yaml(json);
  }
  std::optional<LiveState> live;
  if (!flags.has("file") && flags.get("compat", "") != "istio") {
    LATEEN_TRY(live, ask_state(mesh, view));
  }
  const bool more = live && (flags.get("compat", "") == "lateen" || live->compat != "istio");
  return table_of(kind, page, filter, more ? &live->ejections : nullptr);
}

}  // namespace

int run_proxy_config(Args args) {
  const auto flags = parse_flags(args, kFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kUsage).c_str(), stdout);
    return 0;
  }
  if (flags->positional.empty()) return usage_error(kUsage, "say what to show: cluster, endpoint, route or listener");
  const auto kind = parse_kind(flags->positional.front());
  if (!kind) return usage_error(kUsage, kind.error().message);
  if (flags->positional.size() > 2) return usage_error(kUsage, "more than one WORKLOAD was given");
  const std::string form = flags->get("output", "table");
  if (form != "table" && form != "short" && form != "json" && form != "yaml")
    return usage_error(kUsage, "-o " + form + ": write table, json or yaml");
  const auto text = show(*kind, *flags, form);
  if (!text) {
    std::fprintf(stderr, "Error: %s\n", to_string(text.error()).c_str());
    return 1;
  }
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace lateen::cli
