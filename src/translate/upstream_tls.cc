#include "translate/upstream_tls.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/proxy_protocol.pb.h>
#include <envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <algorithm>
#include <set>
#include <vector>

#include "translate/names.h"
#include "translate/secret_config.h"
#include "translate/wire_message.h"
#include "xds/messages.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
namespace core_v3 = envoy::config::core::v3;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using Mode = model::ClientTls::Mode;

constexpr const char* kTlsSocket = "envoy.transport_sockets.tls";

void set_versions(tls_v3::CommonTlsContext& out) {
  out.mutable_tls_params()->set_tls_minimum_protocol_version(tls_v3::TlsParameters::TLSv1_2);
  out.mutable_tls_params()->set_tls_maximum_protocol_version(tls_v3::TlsParameters::TLSv1_3);
}

void set_names(tls_v3::CommonTlsContext& out, const std::vector<std::string>& names) {
  auto& context = *out.mutable_combined_validation_context()->mutable_default_validation_context();
  for (const std::string& name : names) context.add_match_subject_alt_names()->set_exact(name);
}

// SPIFFE identities of the service's endpoints.
std::vector<std::string> accounts(const Service& service, const model::MeshConfig& config) {
  std::set<std::string> found;
  const auto add = [&](const std::string& namespace_, const std::string& account) {
    const std::string identity = "/ns/" + namespace_ + "/sa/" + account;
    found.insert("spiffe://" + config.trust_domain + identity);
    for (const std::string& alias : config.trust_domain_aliases) found.insert("spiffe://" + alias + identity);
  };
  for (const auto& endpoints : service.endpoints)
    for (const Endpoint& endpoint : endpoints)
      if (!endpoint.account.empty()) add(endpoint.namespace_, endpoint.account);
  for (const auto& [namespace_, account] : service.accounts) add(namespace_, account);
  found.insert(service.subject_names.begin(), service.subject_names.end());
  return {found.begin(), found.end()};
}

tls_v3::UpstreamTlsContext mesh_context(const TlsInput& input, bool http2) {
  tls_v3::UpstreamTlsContext out;
  const bool has_sni = input.tls != nullptr && !input.tls->sni.empty();
  if (has_sni) out.set_sni(input.tls->sni);
  else if (!input.dynamic) out.set_sni(mtls_sni(input.port.number, input.subset, input.service.host));
  auto& common = *out.mutable_common_tls_context();
  common.add_alpn_protocols("istio");
  if (http2) common.add_alpn_protocols("h2");
  set_versions(common);
  set_agent_secret(*common.add_tls_certificate_sds_secret_configs(), kWorkloadSecret);
  const bool has_names = input.tls != nullptr && !input.tls->subject_alt_names.empty();
  set_names(common, has_names ? input.tls->subject_alt_names
                              : accounts(input.service, input.scope.mesh.config));
  set_agent_secret(*common.mutable_combined_validation_context()->mutable_validation_context_sds_secret_config(), kRootSecret);
  return out;
}

// The server's name comes from the request, and is what its certificate must be for, where the rule names neither.
void set_automatic_names(HttpOptions& http, const model::ClientTls& tls, bool dynamic) {
  const bool verifies = !tls.insecure_skip_verify.value_or(false);
  const bool auto_sni = tls.sni.empty();
  const bool auto_names = verifies && (dynamic || (auto_sni && tls.subject_alt_names.empty()));
  if (auto_sni) http.mutable_upstream_http_protocol_options()->set_auto_sni(true);
  if (auto_names) http.mutable_upstream_http_protocol_options()->set_auto_san_validation(true);
}

void set_secrets(tls_v3::CommonTlsContext& out, const model::ClientTls& tls, const std::vector<std::string>& names) {
  const bool verifies = !tls.insecure_skip_verify.value_or(false);
  if (tls.mode == Mode::kMutual) {
    auto& certificate = *out.add_tls_certificate_sds_secret_configs();
    if (tls.credential_name.empty()) set_agent_secret(certificate, file_certificate_name(tls.client_certificate, tls.private_key));
    else set_credential(certificate, tls.credential_name);
  }
  if (!verifies) {
    if (tls.credential_name.empty()) out.mutable_validation_context();
    return;
  }
  set_names(out, names);
  auto& combined = *out.mutable_combined_validation_context();
  combined.mutable_default_validation_context();
  auto& authorities = *combined.mutable_validation_context_sds_secret_config();
  if (!tls.credential_name.empty()) return set_credential(authorities, tls.credential_name + std::string(kAuthoritySuffix));
  if (!tls.ca_crl.empty()) combined.mutable_default_validation_context()->mutable_crl()->set_filename(tls.ca_crl);
  set_agent_secret(authorities, file_root_name(tls.ca_certificates.empty() ? "system" : tls.ca_certificates));
}

// SIMPLE and MUTUAL: certificates from files or secrets, the peer checked against SANs or its own name.
tls_v3::UpstreamTlsContext plain_context(const TlsInput& input, HttpOptions& http) {
  const model::ClientTls& tls = *input.tls;
  tls_v3::UpstreamTlsContext out;
  out.set_sni(tls.sni);
  set_automatic_names(http, tls, input.dynamic);
  auto& common = *out.mutable_common_tls_context();
  set_versions(common);
  const bool of_service = tls.subject_alt_names.empty() && !input.service.kubernetes;
  set_secrets(common, tls, of_service ? accounts(input.service, input.scope.mesh.config) : tls.subject_alt_names);
  const model::MeshTls& defaults = input.scope.mesh.config.tls_defaults;
  for (const std::string& curve : defaults.ecdh_curves) common.mutable_tls_params()->add_ecdh_curves(curve);
  for (const std::string& suite : defaults.cipher_suites) common.mutable_tls_params()->add_cipher_suites(suite);
  if (http.explicit_http_config().has_http2_protocol_options()) common.add_alpn_protocols("h2");
  return out;
}

void set_socket(core_v3::TransportSocket& out, const tls_v3::UpstreamTlsContext& context) {
  out.set_name(kTlsSocket);
  xds::pack(context, *out.mutable_typed_config());
}

void set_raw(core_v3::TransportSocket& out) {
  out.set_name("envoy.transport_sockets.raw_buffer");
  xds::pack(envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer{}, *out.mutable_typed_config());
}

// TLS to the endpoints that are marked as having a sidecar, plain text to the others.
void apply_automatic(cluster_v3::Cluster& out, const TlsInput& input, bool http2) {
  // Envoy cannot tell what stands at an original destination: all of them have a sidecar, or this would not be asked.
  if (out.type() == cluster_v3::Cluster::ORIGINAL_DST) return set_socket(*out.mutable_transport_socket(), mesh_context(input, http2));
  auto& with_sidecar = *out.add_transport_socket_matches();
  with_sidecar.set_name("tlsMode-istio");
  (*with_sidecar.mutable_match()->mutable_fields())["tlsMode"].set_string_value("istio");
  set_socket(*with_sidecar.mutable_transport_socket(), mesh_context(input, http2));
  auto& others = *out.add_transport_socket_matches();
  others.set_name("tlsMode-disabled");
  others.mutable_match();
  set_raw(*others.mutable_transport_socket());
}

// Where the client dials what was dialled, only a service whose endpoints all have a sidecar gets TLS.
bool can_be_automatic(const TlsInput& input) {
  if (input.service.external) return false;
  if (input.service.resolution != Resolution::kPassthrough && !input.passthrough) return true;
  const auto& endpoints = input.service.endpoints[input.service.port_index(input.port)];
  return !endpoints.empty() && std::all_of(endpoints.begin(), endpoints.end(), [](const Endpoint& endpoint) {
    return !endpoint.tls_mode.empty() && endpoint.tls_mode != "disabled";
  });
}

// A sidecar gets a Secret only by a rule that selects it: a rule for all would name secrets to workloads that may not
// read them. A ConfigMap is for everybody.
bool may_use_credential(const TlsInput& input) {
  return input.tls->credential_name.empty() || input.tls->credential_name.starts_with("configmap://") ||
         input.scope.view.kind == View::Kind::kRouter || input.selected;
}

void wrap(core_v3::TransportSocket& socket, model::ProxyProtocolVersion version) {
  core_v3::ProxyProtocolConfig config;
  config.set_version(version == model::ProxyProtocolVersion::kV2 ? core_v3::ProxyProtocolConfig::V2 : core_v3::ProxyProtocolConfig::V1);
  WireMessage message("envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport");
  message.message(1, config).message(2, socket);
  socket.set_name("envoy.transport_sockets.upstream_proxy_protocol");
  message.pack(*socket.mutable_typed_config());
}

}  // namespace

void apply_upstream_tls(cluster_v3::Cluster& out, HttpOptions& http, const TlsInput& input) {
  const bool http2 = http.explicit_http_config().has_http2_protocol_options();
  if (input.tls == nullptr) {
    if (!input.scope.options.auto_mtls || !can_be_automatic(input)) return;
    apply_automatic(out, input, http2);
    if (input.dynamic) set_automatic_names(http, {}, true);
    return;
  }
  switch (input.tls->mode) {
    case Mode::kDisable: return;
    case Mode::kIstioMutual:
      set_socket(*out.mutable_transport_socket(), mesh_context(input, http2));
      if (input.dynamic) set_automatic_names(http, *input.tls, true);
      return;
    case Mode::kSimple:
    case Mode::kMutual: {
      if (may_use_credential(input)) set_socket(*out.mutable_transport_socket(), plain_context(input, http));
      // Istio's own filter must not offer its mesh protocols to such a server.
      auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
      (*istio.mutable_fields())["alpn_override"].set_string_value("false");
      return;
    }
  }
}

void apply_proxy_protocol(cluster_v3::Cluster& out, model::ProxyProtocolVersion version) {
  if (!out.has_transport_socket() && out.transport_socket_matches_size() == 0) {
    set_raw(*out.mutable_transport_socket());
    out.mutable_transport_socket()->set_name("raw_buffer");  // istiod has two names for it
  }
  if (out.has_transport_socket()) wrap(*out.mutable_transport_socket(), version);
  for (auto& match : *out.mutable_transport_socket_matches()) wrap(*match.mutable_transport_socket(), version);
}

}  // namespace lateen::translate
