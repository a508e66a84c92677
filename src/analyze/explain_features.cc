// What few routes and clusters have: said only where it is there.
#include "analyze/explain_settings.h"
#include "text/duration.h"

namespace lateen::analyze {
namespace {

using Setting = Explanation::Setting;
using runtime::Cluster;

std::string hashed_part(const runtime::HashPolicy& policy) {
  using Kind = runtime::HashPolicy::Kind;
  switch (policy.kind) {
    case Kind::kHeader: return "header " + policy.name;
    case Kind::kCookie: return "cookie " + policy.name + (policy.cookie_ttl ? ", which is set where it is missing" : "");
    case Kind::kSourceAddress: return "the client's address";
    case Kind::kQueryParameter: return "query parameter " + policy.name;
  }
  return "";
}

// Several parts: of several destinations, each with its own.
void add_hash(const runtime::Forward& forward, const translate::Provenance& provenance, std::vector<Setting>& out) {
  if (forward.policy->hash.empty() || forward.clusters.empty()) return;
  std::string parts;
  bool may_lack = true;   // all of them
  for (const runtime::HashPolicy& policy : forward.policy->hash) {
    may_lack = may_lack && policy.kind != runtime::HashPolicy::Kind::kSourceAddress && !policy.cookie_ttl;
    const std::string part = hashed_part(policy);
    if (parts.find(part) == std::string::npos) parts += (parts.empty() ? "" : ", ") + part;
  }
  out.push_back({"sticky", "by " + parts, origin_of(provenance, "cluster/" + std::string(forward.clusters.front().name), "load_balancer"),
                 may_lack ? "a request without it goes to any endpoint" : ""});
}

void add_mirrors(const runtime::Forward& forward, const Origin& one, const Origin& many, std::vector<Setting>& out) {
  for (std::size_t i = 0; i < forward.policy->mirrors.size(); ++i) {
    const runtime::Mirror& mirror = forward.policy->mirrors[i];
    const std::string share = mirror.per_million >= 1'000'000 ? "each request" : runtime::percent_text(mirror.per_million) + " of requests";
    // `mirror` comes before `mirrors`.
    out.push_back({"mirror", share + " also to " + std::string(mirror.cluster), i == 0 && !one.object.empty() ? one : many,
                   "its answer is dropped, and its time and outcome do not touch the request"});
  }
}

void add_cors(const runtime::Route& route, const Origin& origin, std::vector<Setting>& out) {
  if (!route.cors) return;
  std::string origins;
  for (const runtime::StringMatcher& matcher : route.cors->allow_origins) origins += (origins.empty() ? "" : ", ") + matcher.describe();
  out.push_back({"CORS", origins.empty() ? "no origin is allowed" : "origin " + origins, origin,
                 route.cors->forward_not_matching_preflights ? "" : "preflights of other origins are answered without permission"});
}

std::string protocol_text(const Cluster& cluster) {
  if (cluster.same_protocol_as_downstream) return "HTTP/2 for HTTP/2 requests, else HTTP/1.1";
  if (cluster.alpn_decides) return "HTTP/2 where the endpoint chooses it (ALPN), else HTTP/1.1";
  return cluster.http2 ? "HTTP/2" : "";
}

std::string tls_text(const runtime::UpstreamTls& tls) {
  std::string text = tls.common.certificates.empty() && tls.common.certificate_secrets.empty() ? "TLS" : "TLS with a client certificate";
  if (!tls.sni.empty()) text += ", server name " + tls.sni;
  else if (tls.sni_from_request) text += ", server name as the request's host";
  else if (tls.sni_from_host) text += ", server name as the endpoint's";
  return text;
}

// Empty: it is verified.
std::string unverified_text(const runtime::CommonTls& tls) {
  const bool checks = !tls.validation_secret.empty() || (tls.validation && (tls.validation->trusted_ca.given() || tls.validation->system_roots));
  return checks ? "" : "the endpoint's certificate is not verified";
}

}  // namespace

void add_route_features(const runtime::Route& route, const translate::Provenance& provenance, std::string_view resource,
                        std::vector<Setting>& out) {
  add_cors(route, origin_of(provenance, resource, "cors_policy"), out);
  const auto* forward = std::get_if<runtime::Forward>(&route.action);
  if (forward == nullptr) return;
  add_mirrors(*forward, origin_of(provenance, resource, "mirror"), origin_of(provenance, resource, "mirrors"), out);
  add_hash(*forward, provenance, out);
}

std::string balancing_note(const Cluster& cluster) {
  std::string note;
  const auto add = [&](const std::string& part) { note += (note.empty() ? "" : "; ") + part; };
  if (cluster.balancer == Cluster::Balancer::kRingHash)
    add(cluster.ring_points_per_host == 0 ? "a ring of at least " + std::to_string(cluster.ring_size_min) + " points"
                                          : std::to_string(cluster.ring_points_per_host) + " points for each endpoint");
  if (cluster.balancer == Cluster::Balancer::kMaglev) add("a table of " + std::to_string(cluster.maglev_table_size));
  if (cluster.slow_start) add("new endpoints warm up over " + text::format_duration(cluster.slow_start->window));
  if (cluster.locality_weighted) add("localities have their own weights");
  if (cluster.zone_aware) add("the own zone first");
  return note;
}

void add_cluster_features(const Cluster& cluster, const translate::Provenance& provenance, std::vector<Setting>& out) {
  const std::string resource = "cluster/" + std::string(cluster.name);
  if (const std::string protocol = protocol_text(cluster); !protocol.empty())
    out.push_back({"protocol", protocol, origin_of(provenance, resource, "connection_pool"), ""});
  if (cluster.transport.tls != nullptr)
    out.push_back({"tls", tls_text(*cluster.transport.tls), origin_of(provenance, resource, "tls"), unverified_text(cluster.transport.tls->common)});
  if (cluster.limits.retry_budget)
    out.push_back({"retry budget", "retries under way: at most " + runtime::percent_text(static_cast<std::uint32_t>(cluster.limits.retry_budget->percent * 10'000)) +
                                       " of requests, or " + std::to_string(cluster.limits.retry_budget->retries_min),
                   origin_of(provenance, resource, "retry_budget"), ""});
}

}  // namespace lateen::analyze
