// The TCP proxy of a filter chain.

#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/type/v3/hash_policy.pb.h>
#include <google/protobuf/any.pb.h>

#include "runtime/compile_listener.h"
#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

using Tcp = envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

void add_cluster(const std::string& name, std::uint32_t weight, ClusterNames& names, TcpProxySettings& out) {
  WeightedCluster cluster;
  cluster.name = name;
  cluster.id = names.id(name);
  cluster.weight = weight;
  out.weight_total += weight;
  out.clusters.push_back(std::move(cluster));
}

void read_clusters(const Tcp& proto, TcpProxySettings& out, ClusterNames& names, Fields& fields) {
  if (!proto.cluster().empty()) add_cluster(proto.cluster(), 1, names, out);
  if (proto.has_weighted_clusters()) {
    const Fields::At at(fields, "weighted_clusters");
    fields.only(proto.weighted_clusters(), {proto.weighted_clusters().kClustersFieldNumber});
    for (const auto& cluster : proto.weighted_clusters().clusters()) {
      fields.only(cluster, {cluster.kNameFieldNumber, cluster.kWeightFieldNumber});
      add_cluster(cluster.name(), cluster.weight(), names, out);
    }
  }
  if (out.weight_total == 0) fields.refuse("names no cluster with a weight");
}

void read_hash(const Tcp& proto, TcpProxySettings& out, Fields& fields) {
  for (int i = 0; i < proto.hash_policy_size(); ++i) {
    const Fields::At at(fields, "hash_policy", i);
    const auto& entry = proto.hash_policy(i);
    fields.only(entry, {entry.kSourceIpFieldNumber});
    if (!entry.has_source_ip()) continue;
    fields.only(entry.source_ip(), {});
    out.hash.emplace_back().kind = HashPolicy::Kind::kSourceAddress;
  }
}

void read_tunnel(const Tcp::TunnelingConfig& proto, TcpProxySettings& out, Fields& fields) {
  const Fields::At at(fields, "tunneling_config");
  // What the response says would only be kept for other filters.
  fields.only(proto, {proto.kHostnameFieldNumber, proto.kUsePostFieldNumber, proto.kPostPathFieldNumber, proto.kHeadersToAddFieldNumber,
                      proto.kPropagateResponseHeadersFieldNumber, proto.kPropagateResponseTrailersFieldNumber});
  TcpProxySettings::Tunnel tunnel;
  if (proto.hostname().empty()) fields.refuse("needs a hostname");
  Result<HeaderValue> hostname = HeaderValue::compile(proto.hostname());
  if (!hostname) fields.refuse(hostname.error());
  else tunnel.hostname = *std::move(hostname);
  tunnel.post = proto.use_post();
  tunnel.post_path = proto.post_path();
  if (!tunnel.post && !tunnel.post_path.empty()) fields.refuse("post_path belongs to use_post");
  compile_header_operations({}, proto.headers_to_add(), tunnel.headers, fields);
  out.tunnel = std::move(tunnel);
}

}  // namespace

TcpProxySettings compile_tcp_proxy(const google::protobuf::Any& any, ClusterNames& names, Fields& fields) {
  TcpProxySettings out;
  Tcp proto;
  if (!fields.unpack(any, proto)) return out;
  // When a line is written to the log is for observation.
  fields.only(proto, {proto.kStatPrefixFieldNumber, proto.kClusterFieldNumber, proto.kWeightedClustersFieldNumber,
                      proto.kIdleTimeoutFieldNumber, proto.kAccessLogFieldNumber, proto.kMaxConnectAttemptsFieldNumber,
                      proto.kHashPolicyFieldNumber, proto.kTunnelingConfigFieldNumber, proto.kMaxDownstreamConnectionDurationFieldNumber,
                      proto.kAccessLogOptionsFieldNumber, proto.kAccessLogFlushIntervalFieldNumber,
                      proto.kFlushAccessLogOnConnectedFieldNumber});
  out.stat_prefix = proto.stat_prefix();
  read_clusters(proto, out, names, fields);
  read_hash(proto, out, fields);
  if (proto.has_tunneling_config()) read_tunnel(proto.tunneling_config(), out, fields);
  const auto time = [&](std::string_view name, bool has, const google::protobuf::Duration& value, Duration& to) {
    if (!has) return;
    const Fields::At at(fields, name);
    to = fields.duration(value);
  };
  time("idle_timeout", proto.has_idle_timeout(), proto.idle_timeout(), out.idle_timeout);
  time("max_downstream_connection_duration", proto.has_max_downstream_connection_duration(), proto.max_downstream_connection_duration(),
       out.max_downstream_connection_duration);
  if (proto.has_max_connect_attempts()) out.connect_attempts_max = proto.max_connect_attempts().value();
  if (out.connect_attempts_max == 0) fields.refuse("max_connect_attempts must be at least 1");
  compile_access_log(proto.access_log(), out.access_log_format, out.access_log_path, fields);
  return out;
}

}  // namespace lateen::runtime
