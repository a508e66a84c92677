// EnvoyFilter patches of clusters.
#include <envoy/config/cluster/v3/cluster.pb.h>

#include <charconv>

#include "translate/envoy_filter_apply.h"
#include "translate/envoy_filter_merge.h"
#include "translate/names.h"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
using model::PatchContext;
using model::PatchOperation;

// The parts of "outbound|80|v1|host", "inbound|80||" and "outbound_.80_._.host"; all empty for other names.
struct ClusterName {
  std::string_view direction, subset, host;
  std::uint32_t port = 0;
};
ClusterName parse_cluster_name(std::string_view name) {
  const std::string_view separator = name.starts_with("outbound_") || name.starts_with("inbound_") ? "_." : "|";
  ClusterName out;
  std::string_view* const parts[] = {&out.direction, nullptr, &out.subset};
  for (std::string_view* part : parts) {
    const std::size_t end = name.find(separator);
    if (end == std::string_view::npos) return out;
    const std::string_view text = name.substr(0, end);
    if (part != nullptr) *part = text;
    else std::from_chars(text.data(), text.data() + text.size(), out.port);
    name.remove_prefix(end + separator.size());
  }
  if (name.find(separator) == std::string_view::npos) out.host = name;
  return out;
}

// The services of an inbound cluster are told in its metadata, as its name has no host.
bool has_service(const cluster_v3::Cluster& cluster, std::string_view wanted) {
  const auto& filters = cluster.metadata().filter_metadata();
  const auto istio = filters.find("istio");
  if (istio == filters.end()) return false;
  const auto services = istio->second.fields().find("services");
  if (services == istio->second.fields().end()) return false;
  for (const auto& service : services->second.list_value().values()) {
    const auto host = service.struct_value().fields().find("host");
    if (host != service.struct_value().fields().end() && host->second.string_value() == wanted) return true;
  }
  return false;
}

bool matches(const EnvoyPatch& patch, const cluster_v3::Cluster& cluster) {
  if (!patch.match.cluster) return true;
  const auto& match = *patch.match.cluster;
  if (!match.name.empty()) return match.name == cluster.name();
  const ClusterName name = parse_cluster_name(cluster.name());
  if (!match.subset.empty() && match.subset != name.subset) return false;
  if (!match.service.empty() && match.service != name.host && !(name.direction == "inbound" && has_service(cluster, match.service)))
    return false;
  return match.port_number == 0 || match.port_number == name.port;
}

// Whether the patch is about the transport socket, and so done. With several to choose from by the endpoint's
// labels, the one of the patch's name; the whole socket where the cluster has none of that name.
enum class Socket : std::uint8_t { kNotPatched, kPatched, kBroken };
Socket patch_socket(cluster_v3::Cluster& cluster, const cluster_v3::Cluster& value) {
  if (!value.has_transport_socket()) return Socket::kNotPatched;
  const std::string& name = value.transport_socket().name();
  envoy::config::core::v3::TransportSocket* socket = nullptr;
  for (auto& match : *cluster.mutable_transport_socket_matches())
    if (socket == nullptr && match.has_transport_socket() && match.transport_socket().name() == name) socket = match.mutable_transport_socket();
  if (socket == nullptr && !cluster.transport_socket_matches().empty()) return Socket::kPatched;
  if (socket == nullptr && cluster.has_transport_socket() && cluster.transport_socket().name() == name)
    socket = cluster.mutable_transport_socket();
  if (socket == nullptr) {
    *cluster.mutable_transport_socket() = value.transport_socket();
  } else if (socket->has_typed_config() && value.transport_socket().has_typed_config()) {
    if (merge_any(*socket->mutable_typed_config(), value.transport_socket().typed_config()) == AnyMerge::kOtherType) return Socket::kBroken;
  }
  return Socket::kPatched;
}

}  // namespace

Patched patch_cluster(const EnvoyPatches& patches, PatchContext context, cluster_v3::Cluster& cluster) {
  for (const EnvoyPatch& patch : patches.of(model::ApplyTo::kCluster)) {
    if (!patch.is_for(context) || !matches(patch, cluster)) continue;
    if (patch.operation == PatchOperation::kRemove) return Patched::kRemoved;
    if (!patch.merges()) continue;
    const Socket socket = patch_socket(cluster, patch.value<cluster_v3::Cluster>());
    if (socket == Socket::kBroken) return Patched::kStays;
    if (socket == Socket::kNotPatched) merge_patch(cluster, patch);
  }
  return Patched::kStays;
}

}  // namespace lateen::translate
