// What a route does: forward to one or several clusters, redirect, or answer by itself.
#include <algorithm>

#include "translate/names.h"
#include "translate/routes.h"
#include "translate/shapes.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;
namespace core_v3 = envoy::config::core::v3;

using AppendAction = core_v3::HeaderValueOption;

bool names_authority(std::string_view header) { return lower(header) == "host" || header == ":authority"; }
bool is_internal(std::string_view header) { return header.starts_with(':') || lower(header) == "host"; }

template <class Fields>
void add_headers(Fields& out, const std::map<std::string, std::string>& headers, AppendAction::HeaderAppendAction action) {
  for (const auto& [name, value] : headers) {
    if (is_internal(name)) continue;
    auto& option = *out.Add();
    option.mutable_header()->set_key(name);
    option.mutable_header()->set_value(value);
    option.set_append_action(action);
  }
}

// For a route and for a weighted cluster: both have these four fields.
template <class Message>
void apply_headers(Message& out, const model::Headers& headers) {
  add_headers(*out.mutable_request_headers_to_add(), headers.request.set, AppendAction::OVERWRITE_IF_EXISTS_OR_ADD);
  add_headers(*out.mutable_request_headers_to_add(), headers.request.add, AppendAction::APPEND_IF_EXISTS_OR_ADD);
  add_headers(*out.mutable_response_headers_to_add(), headers.response.set, AppendAction::OVERWRITE_IF_EXISTS_OR_ADD);
  add_headers(*out.mutable_response_headers_to_add(), headers.response.add, AppendAction::APPEND_IF_EXISTS_OR_ADD);
  for (const std::string& name : headers.request.remove)
    if (!is_internal(name)) out.add_request_headers_to_remove(name);
  for (const std::string& name : headers.response.remove)
    if (!is_internal(name)) out.add_response_headers_to_remove(name);
}

// Setting or adding the Host header means rewriting the authority; `set` goes before `add`.
std::string authority_of(const std::optional<model::Headers>& headers) {
  if (!headers) return {};
  for (const auto* operations : {&headers->request.set, &headers->request.add})
    for (const auto& [name, value] : *operations)
      if (names_authority(name)) return value;
  return {};
}

std::string destination_cluster(const model::Destination& destination, const RouteRequest& request) {
  const auto it = request.services->find(lower(destination.host));
  const Service* service = it == request.services->end() ? nullptr : it->second;
  std::string_view host = destination.host;
  if (service != nullptr && !service->external_name.empty()) host = service->external_name;
  std::uint32_t port = destination.port;
  if (port == 0) {
    // On a sidecar the request came to this very port; a gateway's or proxy's port says nothing about the service's.
    const bool only_one = request.any_port && service != nullptr && service->ports.size() == 1;
    port = only_one ? service->ports.front().number : request.port;
  }
  return outbound_cluster(port, destination.subset, host);
}

// What share of the requests is mirrored; all of them where nothing is said, `whole` where only mirrorPercent is.
envoy::type::v3::FractionalPercent mirrored(const std::optional<double>& percentage, const std::optional<std::uint32_t>& whole) {
  constexpr double kPerPercent = 10'000;
  constexpr std::uint32_t kAll = 100;
  envoy::type::v3::FractionalPercent out;
  if (!percentage) {
    out.set_numerator(whole.value_or(kAll));
    return out;
  }
  out.set_numerator(static_cast<std::uint32_t>(*percentage * kPerPercent));
  out.set_denominator(envoy::type::v3::FractionalPercent::MILLION);
  return out;
}

void add_mirror(route_v3::RouteAction& out, std::string cluster, const std::optional<double>& percentage,
                const std::optional<std::uint32_t>& whole) {
  if (percentage ? *percentage <= 0 : whole == 0) return;
  auto& mirror = *out.add_request_mirror_policies();
  mirror.set_cluster(std::move(cluster));
  *mirror.mutable_runtime_fraction()->mutable_default_value() = mirrored(percentage, whole);
  mirror.mutable_trace_sampled()->set_value(false);
  mirror.set_disable_shadow_host_suffix_append(true);
}

void fill_redirect(route_v3::Route& out, const model::HttpRedirect& from, const RouteRequest& request) {
  auto& to = *out.mutable_redirect();
  to.set_host_redirect(from.authority);
  if (!from.prefix_rewrite.empty()) to.set_prefix_rewrite(from.prefix_rewrite);
  else to.set_path_redirect(from.uri);
  if (!from.scheme.empty()) to.set_scheme_redirect(from.scheme);
  if (from.port) to.set_port_redirect(*from.port);
  else if (from.derive_port == "FROM_REQUEST_PORT") to.set_port_redirect(request.port);
  const std::string scheme = !from.scheme.empty() ? from.scheme : request.tls ? "https" : "http";
  if ((scheme == "http" && to.port_redirect() == 80) || (scheme == "https" && to.port_redirect() == 443))
    to.set_port_redirect(0);
  switch (from.redirect_code) {
    case 302: to.set_response_code(route_v3::RedirectAction::FOUND); return;
    case 303: to.set_response_code(route_v3::RedirectAction::SEE_OTHER); return;
    case 307: to.set_response_code(route_v3::RedirectAction::TEMPORARY_REDIRECT); return;
    case 308: to.set_response_code(route_v3::RedirectAction::PERMANENT_REDIRECT); return;
    case 0:
    case 301: to.set_response_code(route_v3::RedirectAction::MOVED_PERMANENTLY); return;
    default: out.clear_redirect();  // Envoy has no other: such a route does nothing, as in istiod
  }
}

void fill_direct_response(route_v3::Route& out, const model::HttpDirectResponse& from) {
  out.mutable_direct_response()->set_status(from.status);
  if (!from.body) return;
  if (from.body_is_bytes) out.mutable_direct_response()->mutable_body()->set_inline_bytes(*from.body);
  else out.mutable_direct_response()->mutable_body()->set_inline_string(*from.body);
}

void fill_rewrite(route_v3::RouteAction& out, const model::HttpRewrite& rewrite) {
  if (rewrite.uri_regex_rewrite) {
    out.mutable_regex_rewrite()->mutable_pattern()->set_regex(rewrite.uri_regex_rewrite->match);
    out.mutable_regex_rewrite()->set_substitution(rewrite.uri_regex_rewrite->rewrite);
  } else if (!rewrite.uri.empty()) {
    out.set_prefix_rewrite(rewrite.uri);
  }
}

void fill_single(BuiltRoute& out, const RuleSource& rule, const RouteRequest& request) {
  const model::HttpRouteDestination& to = rule.route.route.front();
  auto& action = *out.route.mutable_route();
  action.set_cluster(destination_cluster(to.destination, request));
  out.origins.emplace_back("destination[0]", rule.origin(".route[0]"));
  if (!to.headers) return;
  apply_headers(out.route, *to.headers);
  // The route's own rewrite goes first, as it does with several destinations.
  if (const std::string authority = authority_of(to.headers); !authority.empty() && action.host_rewrite_literal().empty())
    action.set_host_rewrite_literal(authority);
}

void fill_weighted(BuiltRoute& out, const RuleSource& rule, const RouteRequest& request) {
  auto& weighted = *out.route.mutable_route()->mutable_weighted_clusters();
  for (std::size_t i = 0; i < rule.route.route.size(); ++i) {
    const model::HttpRouteDestination& to = rule.route.route[i];
    if (to.weight == 0) continue;
    auto& cluster = *weighted.add_clusters();
    cluster.set_name(destination_cluster(to.destination, request));
    cluster.mutable_weight()->set_value(static_cast<std::uint32_t>(to.weight));
    const std::string path = ".route[" + std::to_string(i) + "]";
    out.origins.emplace_back("destination[" + std::to_string(weighted.clusters_size() - 1) + "]", rule.origin(path));
    out.origins.emplace_back("weight[" + std::to_string(weighted.clusters_size() - 1) + "]", rule.origin(path + ".weight"));
    if (!to.headers) continue;
    apply_headers(cluster, *to.headers);
    if (const std::string authority = authority_of(to.headers); !authority.empty())
      cluster.set_host_rewrite_literal(authority);
  }
}

void fill_forward(BuiltRoute& out, const Scope& scope, const RuleSource& source, const RouteRequest& request) {
  const model::HttpRoute& rule = source.route;
  auto& action = *out.route.mutable_route();
  set_timeout(action, rule.timeout.value_or(Duration{}));
  std::string authority = authority_of(rule.headers);
  if (rule.rewrite) {
    action.set_append_x_forwarded_host(forwards_host(scope));
    fill_rewrite(action, *rule.rewrite);
    if (!rule.rewrite->authority.empty()) authority = rule.rewrite->authority;
  }
  if (!authority.empty()) action.set_host_rewrite_literal(authority);
  if (rule.mirror) add_mirror(action, destination_cluster(*rule.mirror, request), rule.mirror_percentage, rule.mirror_percent);
  for (const model::HttpMirror& mirror : rule.mirrors)
    add_mirror(action, destination_cluster(mirror.destination, request), mirror.percentage, std::nullopt);
  if (rule.route.size() == 1) fill_single(out, source, request);
  else fill_weighted(out, source, request);
  bool hashed = false;
  for (const model::HttpRouteDestination& to : rule.route) {
    if (rule.route.size() > 1 && to.weight == 0) continue;
    const model::ConsistentHash* hash = hash_of(scope, to.destination);
    add_hash_policy(action, hash);
    hashed = hash != nullptr && rule.route.size() == 1;
  }
  const auto& standard = scope.mesh.config.default_http_retry_policy;
  fill_retry(action, rule.retries ? &*rule.retries : standard ? &*standard : nullptr, hashed);
}

void note(BuiltRoute& out, const RuleSource& rule, const char* field, const char* yaml, bool is_set) {
  if (is_set) out.origins.emplace_back(field, rule.origin(std::string(".") + yaml));
}

}  // namespace

bool forwards_host(const Scope& scope) {
  const auto& headers = scope.mesh.config.proxy.headers;
  return headers && headers->x_forwarded_host;
}

void set_timeout(route_v3::RouteAction& out, Duration timeout) {
  set_duration(*out.mutable_timeout(), timeout);
  set_duration(*out.mutable_max_grpc_timeout(), timeout);
}

void fill_action(BuiltRoute& out, const Scope& scope, const RuleSource& rule, const RouteRequest& request) {
  if (rule.route.headers) apply_headers(out.route, *rule.route.headers);
  if (rule.route.redirect) fill_redirect(out.route, *rule.route.redirect, request);
  else if (rule.route.direct_response) fill_direct_response(out.route, *rule.route.direct_response);
  else fill_forward(out, scope, rule, request);
  note(out, rule, "timeout", "timeout", rule.route.timeout.has_value());
  note(out, rule, "retries", "retries", rule.route.retries.has_value());
  note(out, rule, "fault", "fault", rule.route.fault.has_value());
  note(out, rule, "rewrite", "rewrite", rule.route.rewrite.has_value());
  note(out, rule, "headers", "headers", rule.route.headers.has_value());
  note(out, rule, "redirect", "redirect", rule.route.redirect.has_value());
  note(out, rule, "direct_response", "directResponse", rule.route.direct_response.has_value());
  note(out, rule, "mirror", "mirror", rule.route.mirror.has_value());
  note(out, rule, "mirrors", "mirrors", !rule.route.mirrors.empty());
  note(out, rule, "cors_policy", "corsPolicy", rule.route.cors_policy.has_value());
}

}  // namespace lateen::translate
