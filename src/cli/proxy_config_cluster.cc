#include <algorithm>
#include <charconv>
#include <tuple>

#include "cli/proxy_config.h"
#include "cli/proxy_config_dump.h"
#include "cli/table.h"
#include "envoy/admin/v3/clusters.pb.h"
#include "envoy/config/cluster/v3/cluster.pb.h"

namespace lateen::cli {

namespace {

using envoy::config::cluster::v3::Cluster;

// "outbound|9080|v1|reviews.default.svc.cluster.local" in its parts; another name is its own host.
struct ClusterName {
  std::string direction, subset, host;
  std::uint32_t port = 0;
};
ClusterName parse_name(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('|', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  ClusterName name;
  if (parts.size() != 4) {
    name.host = text;
    return name;
  }
  name.direction = parts[0];
  std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), name.port);
  name.subset = parts[2];
  name.host = parts[3];
  return name;
}

bool takes(const ProxyConfigFilter& filter, const ClusterName& name) {
  return (filter.fqdn.empty() || filter.fqdn == name.host) && (filter.port == 0 || filter.port == name.port) &&
         (filter.subset.empty() || filter.subset == name.subset) &&
         (filter.direction.empty() || filter.direction == name.direction);
}

Result<std::vector<Cluster>> clusters_of(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const auto dump, parse_config_dump(config_dump));
  std::vector<Cluster> clusters;
  const auto add = [&](const google::protobuf::Any& any) {
    Cluster cluster;
    if (any.UnpackTo(&cluster) && takes(filter, parse_name(cluster.name()))) clusters.push_back(std::move(cluster));
  };
  for (const auto& section : sections<envoy::admin::v3::ClustersConfigDump>(dump)) {
    for (const auto& entry : section.dynamic_active_clusters()) add(entry.cluster());
    for (const auto& entry : section.static_clusters()) add(entry.cluster());
  }
  std::stable_sort(clusters.begin(), clusters.end(), [](const Cluster& a, const Cluster& b) {
    const ClusterName x = parse_name(a.name()), y = parse_name(b.name());
    return std::tie(x.host, x.subset, x.port, x.direction) < std::tie(y.host, y.subset, y.port, y.direction);
  });
  return clusters;
}

std::string type_of(const Cluster& cluster) {
  if (cluster.has_cluster_type()) return cluster.cluster_type().name();
  return Cluster::DiscoveryType_Name(cluster.type());
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

Result<std::string> cluster_table(std::string_view config_dump, const ProxyConfigFilter& filter, const Ejections* ejections) {
  LATEEN_TRY(const std::vector<Cluster> clusters, clusters_of(config_dump, filter));
  std::vector<std::string> header{"SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"};
  if (ejections != nullptr) header.insert(header.end(), {"ENDPOINTS", "EJECTED"});
  Table table(std::move(header), 5);
  for (const Cluster& cluster : clusters) {
    const ClusterName name = parse_name(cluster.name());
    std::vector<std::string> row{name.host, name.port == 0 ? "-" : std::to_string(name.port), or_dash(name.subset),
                                 or_dash(name.direction), type_of(cluster), config_owner(cluster, "destination-rule")};
    if (ejections != nullptr) {
      const auto state = ejections->find(cluster.name());
      const EjectionState known = state == ejections->end() ? EjectionState{} : state->second;
      row.insert(row.end(), {std::to_string(known.endpoints), ejected_text(known)});
    }
    table.add(std::move(row));
  }
  return table.to_text();
}

Result<std::string> cluster_json(std::string_view config_dump, const ProxyConfigFilter& filter) {
  LATEEN_TRY(const std::vector<Cluster> clusters, clusters_of(config_dump, filter));
  std::vector<const google::protobuf::Message*> messages;
  for (const Cluster& cluster : clusters) messages.push_back(&cluster);
  return list_json(messages);
}

}  // namespace lateen::cli
