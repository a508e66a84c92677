// explain(): the data plane's own decide(), asked for its reasons, joined with what translation left out and with where
// everything came from.

#include <algorithm>
#include <optional>
#include <set>

#include "analyze/analyze.h"
#include "analyze/explain_settings.h"
#include "http/path.h"

namespace lateen::analyze {
namespace {

using translate::LeftOut;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

const runtime::Listener* find_listener(const runtime::Snapshot& snapshot, const std::string& name) {
  const auto it = snapshot.listeners.find(name);
  return it == snapshot.listeners.end() ? nullptr : it->second.get();
}

// The service that the URL's host names for this client, if the mesh has one.
std::optional<translate::ServiceAddress> named_service(const model::Mesh& mesh, const translate::View& view, const std::string& host) {
  translate::Options options;
  options.allocate_addresses = true;
  for (translate::ServiceAddress& service : translate::service_addresses(mesh, view.namespace_, options)) {
    const auto is = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), host) != names.end(); };
    if (service.host == host || is(service.aliases) || is(service.addresses)) return std::move(service);
  }
  return std::nullopt;
}

// The listener that a connection to host:port meets: the one of its address, or that of the port.
const runtime::Listener* listener_for(const runtime::Snapshot& snapshot, const std::vector<std::string>& addresses, std::uint16_t port) {
  const std::string suffix = "_" + std::to_string(port);
  for (const std::string& address : addresses)
    if (const auto* found = find_listener(snapshot, address + suffix)) return found;
  if (const auto* found = find_listener(snapshot, "0.0.0.0" + suffix)) return found;
  for (const auto& [name, listener] : snapshot.listeners)
    if (listener->bind_to_port && listener->port == port && !listener->uses_original_destination) return listener.get();
  return nullptr;
}

const runtime::HttpConnectionSettings* http_settings(const runtime::Listener& listener) {
  for (const runtime::FilterChain& chain : listener.filter_chains)
    if (const auto* http = std::get_if<runtime::HttpConnectionSettings>(&chain.handler)) return http;
  if (!listener.default_chain) return nullptr;
  return std::get_if<runtime::HttpConnectionSettings>(&listener.default_chain->handler);
}

std::string subset_of(std::string_view cluster) {
  // direction|port|subset|host
  const std::size_t first = cluster.find('|'), second = cluster.find('|', first + 1), third = cluster.find('|', second + 1);
  return third == std::string_view::npos ? "" : std::string(cluster.substr(second + 1, third - second - 1));
}

std::string service_of(std::string_view cluster) {
  const std::size_t last = cluster.rfind('|');
  return std::string(last == std::string_view::npos ? cluster : cluster.substr(last + 1));
}

std::string destination_name(std::string_view cluster) {
  const std::string subset = subset_of(cluster);
  return service_of(cluster) + (subset.empty() ? "" : ", subset " + subset);
}

std::string share_of(std::uint32_t weight, std::uint64_t total) {
  const std::uint64_t per_mille = (weight * std::uint64_t{1000} + total / 2) / total;
  std::string text = std::to_string(weight) + "/" + std::to_string(total) + " = " + std::to_string(per_mille / 10);
  if (per_mille % 10 != 0) text += "." + std::to_string(per_mille % 10);
  return text + " %";
}

// 'header end-user' of 'header end-user exact "jason"': what the predicate looks at.
std::string subject_of(const std::string& predicate) {
  if (predicate.starts_with("a ")) return "it";  // "a gRPC request", "a share of 10 %"
  const int words = predicate.starts_with("query parameter ") ? 3 : predicate.starts_with("header ") ? 2 : 1;
  std::size_t end = 0;
  for (int word = 0; word < words && end != std::string::npos; ++word) end = predicate.find(' ', end == 0 ? 0 : end + 1);
  return predicate.substr(0, end);
}

// Null: it has none of that name.
const Explanation::Setting* named(const std::vector<Explanation::Setting>& settings, const std::string& name) {
  const auto it = std::find_if(settings.begin(), settings.end(), [&](const auto& setting) { return setting.name == name; });
  return it == settings.end() ? nullptr : &*it;
}

// The names that occur, each once, in the order of the settings.
std::vector<std::string> names_in(const std::vector<std::vector<Explanation::Setting>>& each) {
  std::vector<std::string> names;
  for (const auto& settings : each)
    for (const Explanation::Setting& setting : settings)
      if (std::find(names.begin(), names.end(), setting.name) == names.end()) names.push_back(setting.name);
  return names;
}

class Explainer {
 public:
  Explainer(const model::Mesh& mesh, const translate::Translation& translation, const runtime::Snapshot& snapshot,
            const translate::View& view, const ExplainRequest& request, const EndpointStates& states)
      : mesh_(mesh), translation_(translation), snapshot_(snapshot), view_(view), request_(request), states_(states) {}

  Explanation run() {
    out_.method = request_.method;
    out_.url = request_.url;
    out_.view = view_.namespace_ + "/" + (view_.name.empty() ? "(nobody)" : view_.name);
    const Result<http::Url> url = http::parse_url(request_.url);
    if (!url) {
      out_.outcome = "not a URL: " + url.error().message;
      return std::move(out_);
    }
    url_ = *url;
    out_.host = url_.host;
    if (url_.scheme == "https") out_.notes.push_back("https is carried as it is, as bytes; only http is looked into");
    const auto service = named_service(mesh_, view_, lower(url_.host));
    if (service && std::find(service->ports.begin(), service->ports.end(), url_.port) == service->ports.end()) return no_such_port(*service);
    const auto addresses = service ? service->addresses : std::vector<std::string>{lower(url_.host)};
    const runtime::Listener* listener = listener_for(snapshot_, addresses, url_.port);
    if (listener == nullptr) return outside();
    const runtime::HttpConnectionSettings* http = http_settings(*listener);
    if (http == nullptr || url_.scheme == "https") return as_tcp(*listener);
    out_.route_table = http->route_table;
    const auto table = snapshot_.route_tables.find(http->route_table);
    if (table == snapshot_.route_tables.end()) {
      out_.outcome = "404: there are no routes " + http->route_table;
      return std::move(out_);
    }
    decide(*table->second, *http);
    return std::move(out_);
  }

 private:
  // Programs inside the mesh cannot even connect: its name resolves, and the port is not open there.
  Explanation no_such_port(const translate::ServiceAddress& service) {
    std::string ports;
    for (const std::uint32_t port : service.ports) ports += (ports.empty() ? "" : ", ") + std::to_string(port);
    out_.outcome = "refused: " + service.host + " has no port " + std::to_string(url_.port) + "; its ports: " + ports;
    return std::move(out_);
  }

  Explanation outside() {
    out_.outcome = mesh_.config.allow_any_outbound
                       ? "not a service of this mesh: passed through to " + url_.authority + " as it is"
                       : "not a service of this mesh, and outboundTrafficPolicy is REGISTRY_ONLY: the connection is closed";
    add_left_out({lower(url_.host)});
    return std::move(out_);
  }

  Explanation as_tcp(const runtime::Listener& listener) {
    const runtime::TcpProxySettings* tcp = nullptr;
    for (const runtime::FilterChain& chain : listener.filter_chains)
      if (tcp == nullptr) tcp = std::get_if<runtime::TcpProxySettings>(&chain.handler);
    if (tcp == nullptr && listener.default_chain) tcp = std::get_if<runtime::TcpProxySettings>(&listener.default_chain->handler);
    if (tcp == nullptr || tcp->clusters.empty()) {
      out_.outcome = "listener " + listener.name + " does not take it";
      return std::move(out_);
    }
    out_.outcome = "carried as TCP to " + destination_name(tcp->clusters.front().name) + ": no rules for HTTP hold";
    for (const runtime::WeightedCluster& cluster : tcp->clusters) add_destination(cluster, tcp->clusters.size() > 1 ? tcp->weight_total : 0);
    add_cluster_settings();
    return std::move(out_);
  }

  void decide(const runtime::RouteTable& table, const runtime::HttpConnectionSettings& http) {
    http::HeaderMap headers;
    for (const auto& [name, value] : request_.headers)
      if (lower(name) != "host") headers.add(lower(name), value);
    const auto host = std::find_if(request_.headers.begin(), request_.headers.end(), [](const auto& header) { return lower(header.first) == "host"; });
    const std::string authority = host == request_.headers.end() ? url_.authority : host->second;
    std::string path = url_.target;
    const http::PathOutcome normalized =
        http::normalize_path(url_.target, {http.normalize_path, http.merge_slashes, http::EscapedSlashesAction::kKeep}, path);
    if (normalized == http::PathOutcome::kRefused) {
      out_.outcome = "400: the path is not valid";
      return;
    }
    if (path.empty() || normalized == http::PathOutcome::kUnchanged) path = url_.target;
    if (path != url_.target) out_.notes.push_back("the path is normalised to " + path + " first");
    std::vector<runtime::Reason> reasons;
    const runtime::Decision decision =
        runtime::decide(table, {request_.method, url_.scheme, authority, path, &headers}, request_.random, &reasons);
    if (decision.virtual_host != nullptr) {
      out_.virtual_host = decision.virtual_host->name;
      add_rules(*decision.virtual_host, reasons);
    }
    conclude(decision, authority);
    add_left_out({lower(url_.host), service_host(decision)});
  }

  std::string resource_of(const runtime::VirtualHost& host, const runtime::Route& route) const {
    return "route/" + out_.route_table + "/" + host.name + "/" + std::to_string(route.index);
  }

  void add_rules(const runtime::VirtualHost& host, const std::vector<runtime::Reason>& reasons) {
    bool taken = false;
    for (const runtime::Reason& reason : reasons) {
      Explanation::Rule rule{origin_of(translation_.provenance, resource_of(host, *reason.route), ""), reason.route->match.describe(), reason.matched, ""};
      if (!reason.matched) rule.why = subject_of(reason.predicate) + " is " + reason.actual;
      taken = taken || reason.matched;
      out_.rules.push_back(std::move(rule));
    }
    for (std::size_t i = reasons.size(); i < host.routes.size() && taken; ++i) {
      const runtime::Route& route = host.routes[i];
      out_.rules.push_back({origin_of(translation_.provenance, resource_of(host, route), ""), route.match.describe(), false, "not reached"});
    }
  }

  // "reviews.default.svc.cluster.local" of a virtual host's "reviews.default.svc.cluster.local:9080".
  static std::string service_host(const runtime::Decision& decision) {
    if (decision.virtual_host == nullptr) return "";
    const std::string_view name = decision.virtual_host->name;
    return std::string(name.substr(0, name.rfind(':')));
  }

  void add_left_out(const std::set<std::string>& hosts) {
    std::set<std::string> seen;
    for (const LeftOut& left : translation_.left_out) {
      if (left.port != 0 && left.port != url_.port) continue;
      const bool here = hosts.contains(left.host) ||
                        (left.host.starts_with("*.") && std::any_of(hosts.begin(), hosts.end(), [&](const std::string& host) { return host.ends_with(left.host.substr(1)); }));
      if (!here) continue;
      std::string why = left.text;
      if (!left.because_of.object.empty() && !to_string(left.because_of).empty()) why += " (" + short_place(left.because_of) + ")";
      if (!seen.insert(short_place(left.rule) + left.rule.field_path + why).second) continue;
      out_.rules.push_back({left.rule, left.rule.object, false, why});
    }
  }

  static std::string short_place(const Origin& origin) { return origin.file.empty() ? origin.object : origin.file + ":" + std::to_string(origin.line); }

  void conclude(const runtime::Decision& decision, const std::string& authority) {
    switch (decision.outcome) {
      case runtime::Outcome::kNoVirtualHost: out_.outcome = "404 (NR): no virtual host for " + authority; return;
      case runtime::Outcome::kNoRoute: out_.outcome = "404 (NR): no rule takes the request"; return;
      case runtime::Outcome::kUnsupported:
        out_.outcome = "500: " + std::get<runtime::Unsupported>(decision.route->action).what;
        return;
      case runtime::Outcome::kDirectResponse: {
        const auto& direct = std::get<runtime::DirectResponse>(decision.route->action);
        out_.outcome = decision.route->name == "block_all" ? "502: not a service of this mesh, and outboundTrafficPolicy is REGISTRY_ONLY"
                                                           : std::to_string(direct.status) + ", answered by the rule itself";
        break;
      }
      case runtime::Outcome::kRedirect: {
        const auto& redirect = std::get<runtime::Redirect>(decision.route->action);
        out_.outcome = std::to_string(redirect.status) + ", a redirect";
        break;
      }
      case runtime::Outcome::kForward: conclude_forward(decision); break;
    }
    if (decision.route->index < decision.virtual_host->routes.size() && &decision.virtual_host->routes[decision.route->index] == decision.route)
      out_.settings = route_settings(*decision.route, translation_.provenance, resource_of(*decision.virtual_host, *decision.route));
    add_cluster_settings();
  }

  void conclude_forward(const runtime::Decision& decision) {
    const auto& forward = std::get<runtime::Forward>(decision.route->action);
    out_.cluster = decision.cluster->name;
    out_.subset = subset_of(out_.cluster);
    for (const runtime::WeightedCluster& cluster : forward.clusters)
      add_destination(cluster, forward.clusters.size() > 1 ? forward.weight_total : 0);
    if (out_.destinations.size() > 1) {
      out_.outcome = "shared out among " + std::to_string(out_.destinations.size()) + " destinations, anew for each request";
    } else if (const runtime::Cluster* only = cluster_of(*decision.cluster); only != nullptr && only->discovery == runtime::Cluster::Discovery::kOriginalDestination) {
      out_.outcome = "not a service of this mesh: passed through to " + url_.authority;
    } else if (!out_.destinations.front().problem.empty()) {
      out_.outcome = out_.destinations.front().problem;
    } else {
      out_.outcome = "forwarded to " + destination_name(out_.cluster);
    }
  }

  const runtime::Cluster* cluster_of(const runtime::WeightedCluster& weighted) const {
    return weighted.id < snapshot_.clusters.size() ? snapshot_.clusters[weighted.id].get() : nullptr;
  }

  void add_destination(const runtime::WeightedCluster& weighted, std::uint64_t total) {
    Explanation::Destination out;
    out.cluster = weighted.name;
    out.subset = subset_of(weighted.name);
    if (total != 0) out.share = share_of(weighted.weight, total);
    out.origin = origin_of(translation_.provenance, "cluster/" + weighted.name, "");
    const runtime::Cluster* cluster = cluster_of(weighted);
    if (cluster == nullptr) {
      out.problem = "503 (NC): " + (out.subset.empty() ? "no service " + service_of(weighted.name)
                                                       : "no DestinationRule has subset " + out.subset + " of " + service_of(weighted.name));
    } else if (!cluster->unsupported.empty()) {
      out.problem = "503: " + cluster->unsupported;
    } else {
      out.endpoints = endpoints_of(*cluster);
      const bool any = std::any_of(out.endpoints.begin(), out.endpoints.end(), [](const EndpointState& state) { return state.healthy; });
      const bool dialled = cluster->discovery == runtime::Cluster::Discovery::kOriginalDestination;
      if (!dialled && !any && cluster->panic_threshold_percent == 0)
        out.problem = out.endpoints.empty() ? "503 (UH): " + destination_name(weighted.name) + " has no endpoints"
                                            : "503 (UH): no endpoint of " + destination_name(weighted.name) + " is healthy";
    }
    clusters_.push_back(cluster);
    out_.destinations.push_back(std::move(out));
  }

  // As they live, if a running mesh was asked; else as they were configured.
  std::vector<EndpointState> endpoints_of(const runtime::Cluster& cluster) const {
    if (const auto it = states_.find(cluster.name.str()); it != states_.end()) return it->second;
    std::vector<EndpointState> out;
    const auto* set = cluster.id < snapshot_.endpoints.size() ? snapshot_.endpoints[cluster.id].get() : nullptr;
    if (set == nullptr) return out;
    for (const runtime::Endpoint& endpoint : set->endpoints) {
      const bool healthy = endpoint.health != runtime::Endpoint::Health::kUnhealthy && endpoint.health != runtime::Endpoint::Health::kDraining;
      const std::string host = endpoint.host.find(':') == std::string::npos || endpoint.host.starts_with("unix:") ? endpoint.host : "[" + endpoint.host + "]";
      out.push_back({host.starts_with("unix:") ? host : host + ":" + std::to_string(endpoint.port), healthy, healthy ? "" : "not ready"});
    }
    return out;
  }

  // Of all destinations; where they agree, once.
  void add_cluster_settings() {
    std::vector<std::vector<Explanation::Setting>> each;
    for (std::size_t i = 0; i < clusters_.size(); ++i)
      if (clusters_[i] != nullptr && clusters_[i]->discovery != runtime::Cluster::Discovery::kOriginalDestination)
        each.push_back(cluster_settings(*clusters_[i], out_.destinations[i].endpoints.size(), mesh_.config, translation_.provenance));
      else
        each.emplace_back();
    for (const std::string& name : names_in(each)) {
      const Explanation::Setting* common = nullptr;
      bool same = true;
      for (const auto& settings : each) {
        if (settings.empty()) continue;
        const Explanation::Setting* own = named(settings, name);
        same = same && own != nullptr && (common == nullptr || (own->value == common->value && own->note == common->note && own->origin == common->origin));
        if (common == nullptr) common = own;
      }
      for (std::size_t i = 0; i < each.size(); ++i) {
        const Explanation::Setting* own = named(each[i], name);
        if (own == nullptr) continue;
        out_.settings.push_back(*own);
        if (same) break;
        out_.settings.back().name += " " + (out_.destinations[i].subset.empty() ? "(whole service)" : out_.destinations[i].subset);
      }
    }
  }

  const model::Mesh& mesh_;
  const translate::Translation& translation_;
  const runtime::Snapshot& snapshot_;
  const translate::View& view_;
  const ExplainRequest& request_;
  const EndpointStates& states_;
  http::Url url_;
  Explanation out_;
  std::vector<const runtime::Cluster*> clusters_;  // of out_.destinations
};

}  // namespace

Explanation explain(const model::Mesh& mesh, const translate::Translation& translation, const runtime::Snapshot& snapshot,
                    const translate::View& view, const ExplainRequest& request, const EndpointStates& states) {
  return Explainer(mesh, translation, snapshot, view, request, states).run();
}

}  // namespace lateen::analyze
