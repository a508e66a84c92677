#include <algorithm>
#include <charconv>
#include <set>

#include "cli/proxy_config.h"
#include "cli/proxy_config_dump.h"
#include "cli/table.h"
#include "envoy/config/route/v3/route.pb.h"

namespace lateen::cli {

namespace {

using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::RouteMatch;

constexpr std::size_t kDomainsShownMax = 2;

// Domains that carry a port say nothing new; nor do the longer forms of a Kubernetes name beside its shorter one.
std::vector<std::string> telling_domains(const google::protobuf::RepeatedPtrField<std::string>& domains) {
  std::vector<std::string> kept;
  for (const std::string& domain : domains) {
    const auto colons = std::count(domain.begin(), domain.end(), ':');
    if (colons == 0 || (colons > 2 && domain.ends_with("]"))) kept.push_back(domain);
  }
  const std::set<std::string> all(kept.begin(), kept.end());
  std::erase_if(kept, [&](const std::string& domain) {
    for (const std::string_view suffix : {".svc.cluster.local", ".svc"})
      if (domain.ends_with(suffix) && all.contains(domain.substr(0, domain.size() - suffix.size()))) return true;
    return false;
  });
  return kept;
}

std::string domains_text(const google::protobuf::RepeatedPtrField<std::string>& domains) {
  if (domains.empty()) return {};
  if (domains.size() == 1) return domains.Get(0);
  const std::vector<std::string> kept = telling_domains(domains);
  std::string text;
  for (std::size_t i = 0; i < kept.size() && i < kDomainsShownMax; ++i) text += (i == 0 ? "" : ", ") + kept[i];
  if (kept.size() > kDomainsShownMax) text += " + " + std::to_string(kept.size() - kDomainsShownMax) + " more...";
  return text;
}

std::string match_text(const RouteMatch& match) {
  if (!match.prefix().empty()) return match.prefix() + "*";
  if (!match.path_separated_prefix().empty()) return "PathPrefix:" + match.path_separated_prefix();
  if (!match.path().empty()) return match.path();
  if (match.has_safe_regex()) return "regex " + match.safe_regex().regex();
  return {};
}

// Numbers by value, then the rest by text.
bool before(const std::string& a, const std::string& b) {
  std::uint32_t x = 0, y = 0;
  const bool a_number = std::from_chars(a.data(), a.data() + a.size(), x).ptr == a.data() + a.size() && !a.empty();
  const bool b_number = std::from_chars(b.data(), b.data() + b.size(), y).ptr == b.data() + b.size() && !b.empty();
  if (a_number && b_number && x != y) return x < y;
  if (a_number != b_number) return a_number;
  return a < b;
}

Result<std::vector<RouteConfiguration>> routes_of(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const auto dump, parse_config_dump(config_dump));
  std::vector<RouteConfiguration> routes;
  const auto add = [&](const google::protobuf::Any& any) {
    RouteConfiguration route;
    if (any.UnpackTo(&route) && (filter.name.empty() || filter.name == route.name())) routes.push_back(std::move(route));
  };
  for (const auto& section : sections<envoy::admin::v3::RoutesConfigDump>(dump)) {
    for (const auto& entry : section.dynamic_route_configs()) add(entry.route_config());
    for (const auto& entry : section.static_route_configs()) add(entry.route_config());
  }
  std::stable_sort(routes.begin(), routes.end(),
                   [](const RouteConfiguration& a, const RouteConfiguration& b) { return before(a.name(), b.name()); });
  return routes;
}

}  // namespace

Result<std::string> route_table(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const std::vector<RouteConfiguration> routes, routes_of(config_dump, filter));
  Table table({"NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"}, 5);
  for (const RouteConfiguration& route : routes)
    for (const auto& host : route.virtual_hosts()) {
      const std::string domains = domains_text(host.domains());
      for (const auto& one : host.routes()) {
        // As istioctl has it: what goes to unknown hosts is no rule of anybody.
        if (one.route().cluster() == "PassthroughCluster") continue;
        table.add({route.name(), host.name(), domains, match_text(one.match()), config_owner(one, "virtual-service")});
      }
      if (host.routes().empty()) table.add({route.name(), host.name(), domains, "/*", "404"});
    }
  return table.to_text();
}

Result<std::string> route_json(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const std::vector<RouteConfiguration> routes, routes_of(config_dump, filter));
  std::vector<const google::protobuf::Message*> messages;
  for (const RouteConfiguration& route : routes) messages.push_back(&route);
  return list_json(messages);
}

}  // namespace lateen::cli
