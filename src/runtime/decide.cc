#include "runtime/decide.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/prefetch.h"
#include "runtime/path_index.h"

namespace lateen::runtime {
namespace {

// Of so many hosts one is mostly found in the cache.
constexpr std::size_t kHostsCached = 1024;
// A DNS name has at most 255 bytes; longer hosts go another, slower way.
constexpr std::size_t kHostBytesInline = 512;

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// "host:80" and "[::1]:80" without the port.
std::string_view without_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return authority;
  const std::string_view host = authority.substr(0, colon), port = authority.substr(colon + 1);
  const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  // An IPv6 address without brackets has no port.
  const bool bare_v6 = host.find(':') != std::string_view::npos && !host.ends_with(']');
  return digits && !bare_v6 ? host : authority;
}

// The virtual host of a position, if there is one.
const VirtualHost* host_at(const RouteTable& table, std::optional<std::uint32_t> number) {
  return number ? table.virtual_hosts[*number].get() : nullptr;
}

const VirtualHost* find_exact(const RouteTable& table, std::string_view host) {
  const TextMap& exact = table.domains->exact;
  if (table.hosts_by_place.empty()) return host_at(table, exact.find(host));
  const std::optional<std::size_t> place = exact.find_place(host);
  return place ? table.hosts_by_place[*place] : nullptr;
}

const VirtualHost* find_domain(const RouteTable& table, std::string_view host) {
  if (table.domains == nullptr) return host_at(table, table.any);
  if (const VirtualHost* found = find_exact(table, host)) return found;
  const DomainIndex& index = *table.domains;
  // The "*" stands for at least one byte, as in Envoy.
  for (const auto& [length, domains] : index.suffixes) {
    if (length >= host.size()) continue;
    if (const auto found = domains.find(host.substr(host.size() - length))) return host_at(table, found);
  }
  for (const auto& [length, domains] : index.prefixes) {
    if (length >= host.size()) continue;
    if (const auto found = domains.find(host.substr(0, length))) return host_at(table, found);
  }
  return host_at(table, table.any);
}

// use(the host in lower case).
template <class Use>
auto with_lower_case(std::string_view host, Use use) {
  if (host.size() > kHostBytesInline) {
    std::string lowered(host);
    std::transform(lowered.begin(), lowered.end(), lowered.begin(), to_lower);
    return use(std::string_view(lowered));
  }
  std::array<char, kHostBytesInline> lowered;
  std::transform(host.begin(), host.end(), lowered.begin(), to_lower);
  return use(std::string_view(lowered.data(), host.size()));
}

void prefetch_route(const Route& route) { prefetch(&route, &route.name); }

const Route* match_explained(const VirtualHost& host, const RequestView& request, std::uint64_t random,
                             std::vector<Reason>& reasons) {
  for (const Route& route : host.routes) {
    std::optional<Mismatch> mismatch = route.match.mismatch(request, random);
    if (!mismatch) {
      reasons.push_back({&route, true, route.match.describe(), ""});
      return &route;
    }
    reasons.push_back({&route, false, std::move(mismatch->predicate), std::move(mismatch->actual)});
  }
  return nullptr;
}

const WeightedCluster* pick_cluster(const Forward& forward, std::uint64_t random) {
  if (forward.clusters.size() == 1) return &forward.clusters.front();
  std::uint64_t left = random % forward.weight_total;
  for (const WeightedCluster& cluster : forward.clusters) {
    if (left < cluster.weight) return &cluster;
    left -= cluster.weight;
  }
  LATEEN_CHECK(false && "weight_total is the sum of the weights");
  return nullptr;
}

// The cluster that the request itself names; the first header of that name counts.
std::string_view named_cluster(const Forward& forward, const RequestView& request) {
  if (request.headers == nullptr) return {};
  const auto value = request.headers->get(forward.policy->cluster_header);
  return value ? *value : std::string_view();
}

// What a virtual host with require_tls answers to plain HTTP.
const Route& redirect_to_https() {
  static const Route kRoute = [] {
    Route route;
    Redirect redirect;
    redirect.https_redirect = true;
    route.action = redirect;
    return route;
  }();
  return kRoute;
}

}  // namespace

const VirtualHost* find_virtual_host(const RouteTable& table, std::string_view authority) {
  return with_lower_case(table.ignore_port ? without_port(authority) : authority,
                         [&table](std::string_view host) { return find_domain(table, host); });
}

void Lookahead::begin(const RouteTable* table, std::string_view authority) {
  end();
  table_ = table;
  if (table == nullptr || table->hosts_by_place.empty()) return;
  hash_ = with_lower_case(table->ignore_port ? without_port(authority) : authority, [](std::string_view host) { return TextMap::hash(host); });
  const std::size_t place = table->domains->exact.first_place(hash_);
  table->domains->exact.prefetch(place);
  __builtin_prefetch(&table->hosts_by_place[place]);
}

void Lookahead::find_host() {
  if (table_ == nullptr) return;
  const std::optional<std::size_t> place = table_->hosts_by_place.empty() ? std::nullopt : table_->domains->exact.likely_place(hash_);
  host_ = place ? table_->hosts_by_place[*place] : host_at(*table_, table_->any);
  if (host_ != nullptr) prefetch(host_, &host_->name);
}

void Lookahead::find_route(std::string_view path) {
  // One of many hosts is still on its way from memory: to look at it now would be to wait for it.
  if (host_ == nullptr || table_->hosts_by_place.size() > kHostsCached || host_->index == nullptr) return;
  path_ = path_without_query(path);
  if (path_.empty()) return;
  host_->index->find(path_, candidates_);
  if (const std::uint32_t first = candidates_.first(); first != PathIndex::Candidates::kNone) prefetch_route(*(route_ = &host_->routes[first]));
}

void Lookahead::find_names() {
  if (host_ == nullptr) return;
  if (route_ == nullptr && host_->index == nullptr && host_->routes.size() == 1) route_ = &host_->routes.front();
  if (route_ != nullptr) route_->operation.prefetch();
}

// The routes whose path may match, those that Lookahead has found if it looked for the same ones.
class PathSearch {
 public:
  PathSearch(const VirtualHost& host, std::string_view path, Lookahead* ahead) {
    const bool done = ahead != nullptr && ahead->host_ == &host && !path.empty() && ahead->path_.data() == path.data() && ahead->path_.size() == path.size();
    if (done) found_ = &ahead->candidates_;
    else if (!path.empty()) host.index->find(path, own_);
  }
  PathIndex::Candidates& candidates() { return *found_; }

 private:
  PathIndex::Candidates own_;
  PathIndex::Candidates* found_ = &own_;
};

namespace {

const Route* match_indexed(const VirtualHost& host, const RequestView& request, std::uint64_t random, Lookahead* ahead) {
  if (host.index == nullptr) return match_linear(host, request, random);
  const std::string_view path = path_without_query(request.path);
  PathSearch search(host, path, ahead);
  PathIndex::Candidates& candidates = search.candidates();
  if (is_connect(request)) host.index->find_connect(candidates);
  for (std::uint32_t number = candidates.next(); number != PathIndex::Candidates::kNone; number = candidates.next()) {
    const Route& route = host.routes[number];
    prefetch_route(route);
    const bool compared = !candidates.unsure(number) && route.match.path_kind != RouteMatch::PathKind::kRegex;
    if (!compared && !route.match.connect_only && !route.match.path_matches(path)) continue;
    if (route.match.rest_matches(request, random)) return &route;
  }
  return nullptr;
}

}  // namespace

const Route* match_linear(const VirtualHost& host, const RequestView& request, std::uint64_t random) {
  for (const Route& route : host.routes)
    if (route.match.matches(request, random)) return &route;
  return nullptr;
}

Decision decide(const RouteTable& table, const RequestView& request, std::uint64_t random, std::vector<Reason>* reasons, Lookahead* ahead) {
  Decision decision;
  const VirtualHost* const host = find_virtual_host(table, request.authority);
  if (host == nullptr) return decision;
  decision.virtual_host = host;
  decision.outcome = Outcome::kNoRoute;
  if (host->require_tls && request.scheme != "https") {
    decision.outcome = Outcome::kRedirect;
    decision.route = &redirect_to_https();
    return decision;
  }
  decision.route = reasons == nullptr ? match_indexed(*host, request, random, ahead)
                                      : match_explained(*host, request, random, *reasons);
  if (decision.route == nullptr) return decision;
  decision.route->operation.prefetch();
  decision.outcome = std::visit(Overloaded{
                                    [&](const Forward& forward) {
                                      decision.cluster = pick_cluster(forward, random);
                                      if (!forward.policy->cluster_header.empty()) decision.cluster_name = named_cluster(forward, request);
                                      return Outcome::kForward;
                                    },
                                    [](const DirectResponse&) { return Outcome::kDirectResponse; },
                                    [](const Redirect&) { return Outcome::kRedirect; },
                                    [](const Unsupported&) { return Outcome::kUnsupported; },
                                },
                                decision.route->action);
  return decision;
}

}  // namespace lateen::runtime
