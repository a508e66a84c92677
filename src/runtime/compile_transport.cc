// Transport sockets: what stands between TCP and what is carried.

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/proxy_protocol.pb.h>
#include <google/protobuf/any.pb.h>

#include "runtime/compile_tls.h"
#include "runtime/loose_message.h"

namespace lateen::runtime {
namespace {

namespace core = envoy::config::core::v3;

constexpr std::string_view kRawBuffer = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
constexpr std::string_view kUpstreamTls = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
constexpr std::string_view kDownstreamTls = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
constexpr std::string_view kProxyProtocol = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport";
// How many sockets may stand inside each other.
constexpr int kNestingMax = 4;

// Envoy takes this one by its name alone.
bool is_raw_buffer(const core::TransportSocket& proto, Fields& fields) {
  if (!proto.has_typed_config()) return proto.name() == "envoy.transport_sockets.raw_buffer";
  if (type_name(proto.typed_config()) != kRawBuffer) return false;
  fields.empty_bytes(proto.typed_config());
  return true;
}

void only_known(const core::TransportSocket& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kTypedConfigFieldNumber});
}

void read_upstream(const core::TransportSocket& proto, UpstreamNames names, int depth, Transport& out, Fields& fields);

void read_proxy_protocol(const google::protobuf::Any& any, UpstreamNames names, int depth, Transport& out, Fields& fields) {
  const std::optional<LooseMessage> proto = LooseMessage::unpack(any, fields);
  if (!proto) return;
  proto->only({"config", "transport_socket"}, fields);
  core::ProxyProtocolConfig config;
  proto->message("config", config);
  fields.only(config, {config.kVersionFieldNumber});
  if (out.proxy_protocol != 0) fields.refuse("one PROXY header inside another");
  out.proxy_protocol = config.version() == core::ProxyProtocolConfig::V2 ? 2 : 1;
  core::TransportSocket inner;
  if (!proto->message("transport_socket", inner)) {
    fields.refuse("needs a transport_socket");
    return;
  }
  const Fields::At at(fields, "transport_socket");
  read_upstream(inner, names, depth + 1, out, fields);
}

void read_upstream(const core::TransportSocket& proto, UpstreamNames names, int depth, Transport& out, Fields& fields) {
  only_known(proto, fields);
  const std::string_view type = type_name(proto.typed_config());
  if (is_raw_buffer(proto, fields)) return;
  if (depth == kNestingMax) fields.refuse("too many transport sockets inside each other");
  else if (type == kUpstreamTls) out.tls = compile_upstream_tls(proto.typed_config(), names, fields);
  else if (type == kProxyProtocol) read_proxy_protocol(proto.typed_config(), names, depth, out, fields);
  else fields.unsupported(proto.name() + " is not supported");
}

}  // namespace

std::shared_ptr<const DownstreamTls> compile_downstream_transport(const core::TransportSocket& proto, Fields& fields) {
  only_known(proto, fields);
  if (is_raw_buffer(proto, fields)) return nullptr;
  if (type_name(proto.typed_config()) == kDownstreamTls) return compile_downstream_tls(proto.typed_config(), fields);
  fields.unsupported(proto.name() + " is not supported");
  return nullptr;
}

Transport compile_upstream_transport(const core::TransportSocket& proto, UpstreamNames names, Fields& fields) {
  Transport out;
  read_upstream(proto, names, 0, out, fields);
  return out;
}

}  // namespace lateen::runtime
