#include <algorithm>

#include "cli/proxy_config.h"
#include "cli/proxy_config_dump.h"
#include "cli/table.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"

namespace lateen::cli {

namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::FilterChainMatch;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ",") + value;
  return text;
}

std::string match_text(const FilterChainMatch& match) {
  std::vector<std::string> parts;
  if (!match.server_names().empty()) parts.push_back("SNI: " + joined(match.server_names()));
  if (!match.transport_protocol().empty()) parts.push_back("Trans: " + match.transport_protocol());
  if (!match.application_protocols().empty()) parts.push_back("App: " + joined(match.application_protocols()));
  const std::string port = match.has_destination_port() ? ":" + std::to_string(match.destination_port().value()) : "";
  if (!match.prefix_ranges().empty()) {
    std::string ranges;
    for (const auto& range : match.prefix_ranges())
      ranges += (ranges.empty() ? "" : ",") + range.address_prefix() + "/" + std::to_string(range.prefix_len().value());
    parts.push_back("Addr: " + ranges + port);
  } else if (!port.empty()) {
    parts.push_back("Addr: *" + port);
  }
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text.empty() ? "ALL" : text;
}

// Istio's own clusters speak for themselves.
std::string cluster_text(const std::string& cluster) {
  return cluster.find("Cluster") != std::string::npos ? cluster : "Cluster: " + cluster;
}

std::string inline_route_text(const RouteConfiguration& config) {
  if (config.virtual_hosts_size() == 1) {
    const auto& host = config.virtual_hosts(0);
    const bool everything = host.domains_size() == 1 && host.domains(0) == "*" && host.routes_size() == 1 &&
                            host.routes(0).match().prefix() == "/" && !host.routes(0).route().cluster().empty();
    if (everything) return cluster_text(host.routes(0).route().cluster());
  }
  std::string text;
  for (const auto& host : config.virtual_hosts()) {
    std::string routes;
    for (const auto& route : host.routes()) routes += (routes.empty() ? "" : ", ") + route.match().prefix() + "*";
    const bool any = host.domains_size() == 1 && host.domains(0) == "*";
    text += (text.empty() ? "" : "; ") + (any ? routes : joined(host.domains()) + " " + routes);
  }
  return "Inline Route: " + text;
}

std::string destination_text(const FilterChain& chain) {
  for (const auto& filter : chain.filters()) {
    if (HttpConnectionManager http; filter.typed_config().Is<HttpConnectionManager>() && filter.typed_config().UnpackTo(&http)) {
      if (http.has_route_config()) return inline_route_text(http.route_config());
      return http.rds().route_config_name().empty() ? "HTTP" : "Route: " + http.rds().route_config_name();
    }
    if (TcpProxy tcp; filter.typed_config().Is<TcpProxy>() && filter.typed_config().UnpackTo(&tcp))
      if (tcp.cluster() != "BlackHoleCluster") return cluster_text(tcp.cluster());
  }
  return "Non-HTTP/Non-TCP";
}

struct Row {
  std::string address, match, destination;
  std::uint32_t port = 0;
};

bool takes(const ProxyConfigFilter& filter, const Listener& listener) {
  const auto& at = listener.address().socket_address();
  return (filter.address.empty() || filter.address == at.address()) && (filter.port == 0 || filter.port == at.port_value()) &&
         (filter.name.empty() || filter.name == listener.name());
}

Result<std::vector<Listener>> listeners_of(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const auto dump, parse_config_dump(config_dump));
  std::vector<Listener> listeners;
  const auto add = [&](const google::protobuf::Any& any) {
    Listener listener;
    if (any.UnpackTo(&listener) && takes(filter, listener)) listeners.push_back(std::move(listener));
  };
  for (const auto& section : sections<envoy::admin::v3::ListenersConfigDump>(dump)) {
    for (const auto& entry : section.dynamic_listeners())
      if (entry.has_active_state()) add(entry.active_state().listener());
    for (const auto& entry : section.static_listeners()) add(entry.listener());
  }
  return listeners;
}

}  // namespace

Result<std::string> listener_table(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const std::vector<Listener> listeners, listeners_of(config_dump, filter));
  std::vector<Row> rows;
  for (const Listener& listener : listeners) {
    const auto& at = listener.address().socket_address();
    const auto add = [&](const FilterChain& chain) {
      rows.push_back({at.address(), match_text(chain.filter_chain_match()), destination_text(chain), at.port_value()});
    };
    for (const FilterChain& chain : listener.filter_chains()) add(chain);
    if (listener.has_default_filter_chain()) add(listener.default_filter_chain());
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    if (a.address != b.address) return a.address < b.address;
    if (a.port != b.port) return a.port < b.port;
    return a.destination > b.destination;
  });
  Table table({"ADDRESSES", "PORT", "MATCH", "DESTINATION"}, 1);
  for (const Row& row : rows) table.add({row.address, std::to_string(row.port), row.match, row.destination});
  return table.to_text();
}

Result<std::string> listener_json(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const std::vector<Listener> listeners, listeners_of(config_dump, filter));
  std::vector<const google::protobuf::Message*> messages;
  for (const Listener& listener : listeners) messages.push_back(&listener);
  return list_json(messages);
}

}  // namespace lateen::cli
