#include <algorithm>
#include <tuple>

#include "cli/proxy_config.h"
#include "cli/proxy_config_dump.h"
#include "cli/table.h"
#include "envoy/admin/v3/clusters.pb.h"

namespace lateen::cli {

namespace {

using envoy::admin::v3::ClusterStatus;
using envoy::admin::v3::HostStatus;

std::string address_of(const HostStatus& host) {
  if (host.address().has_pipe()) return "unix://" + host.address().pipe().path();
  if (host.address().has_envoy_internal_address())
    return "envoy://" + host.address().envoy_internal_address().server_listener_name() + "/" +
           host.address().envoy_internal_address().endpoint_id();
  return host.address().socket_address().address();
}

std::uint32_t port_of(const HostStatus& host) {
  return host.address().has_socket_address() ? host.address().socket_address().port_value() : 0;
}

std::string status_of(const HostStatus& host) {
  const std::string name = envoy::config::core::v3::HealthStatus_Name(host.health_status().eds_health_status());
  return name;
}

bool takes(const ProxyConfigFilter& filter, const std::string& cluster, const HostStatus& host) {
  std::string wanted = filter.status;
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return (filter.cluster.empty() || filter.cluster == cluster) && (filter.address.empty() || filter.address == address_of(host)) &&
         (filter.port == 0 || filter.port == port_of(host)) && (wanted.empty() || wanted == status_of(host));
}

struct Row {
  std::string address, status, outlier, cluster;
  std::uint32_t port = 0;
};

std::string endpoint_text(const Row& row) {
  if (row.address.starts_with("unix://") || row.address.starts_with("envoy://")) return row.address;
  const bool ipv6 = row.address.find(':') != std::string::npos;
  return (ipv6 ? "[" + row.address + "]" : row.address) + ":" + std::to_string(row.port);
}

// "FAILED"; where the mesh says more: "FAILED (57 s left)".
std::string outlier_text(const HostStatus& host, const Ejections* ejections, const std::string& cluster, const std::string& address) {
  if (!host.health_status().failed_outlier_check()) return "OK";
  if (ejections == nullptr) return "FAILED";
  const auto state = ejections->find(cluster);
  if (state == ejections->end()) return "FAILED";
  const auto left = state->second.left_ms_by_address.find(address);
  if (left == state->second.left_ms_by_address.end()) return "FAILED";
  return "FAILED (" + std::to_string((left->second + 999) / 1000) + " s left)";
}

}  // namespace

Result<std::string> endpoint_table(std::string_view clusters, const ProxyConfigFilter& filter, const Ejections* ejections) {
  envoy::admin::v3::Clusters page;
  LATEEN_TRY_VOID(parse_message(clusters, page));
  std::vector<Row> rows;
  for (const ClusterStatus& cluster : page.cluster_statuses())
    for (const HostStatus& host : cluster.host_statuses()) {
      if (!takes(filter, cluster.name(), host)) continue;
      Row row{address_of(host), status_of(host), {}, cluster.name(), port_of(host)};
      row.outlier = outlier_text(host, ejections, cluster.name(), endpoint_text(row));
      rows.push_back(std::move(row));
    }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.address, a.port, a.cluster) < std::tie(b.address, b.port, b.cluster);
  });
  Table table({"ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"}, 5);
  for (const Row& row : rows) table.add({endpoint_text(row), row.status, row.outlier, row.cluster});
  return table.to_text();
}

Result<std::string> endpoint_json(std::string_view clusters, const ProxyConfigFilter& filter) {
  envoy::admin::v3::Clusters page;
  LATEEN_TRY_VOID(parse_message(clusters, page));
  std::vector<const google::protobuf::Message*> messages;
  for (const ClusterStatus& cluster : page.cluster_statuses()) {
    const bool any = std::any_of(cluster.host_statuses().begin(), cluster.host_statuses().end(),
                                 [&](const HostStatus& host) { return takes(filter, cluster.name(), host); });
    if (any) messages.push_back(&cluster);
  }
  return list_json(messages);
}

}  // namespace lateen::cli
