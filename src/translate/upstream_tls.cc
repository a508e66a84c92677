#include "translate/upstream_tls.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <set>
#include <vector>

#include "translate/names.h"
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

// The agent beside an Envoy serves secrets on this cluster of its bootstrap.
void set_secret(tls_v3::SdsSecretConfig& out, const std::string& name, bool workload_secret) {
  out.set_name(name);
  auto& source = *out.mutable_sds_config();
  auto& api = *source.mutable_api_config_source();
  api.set_api_type(core_v3::ApiConfigSource::GRPC);
  api.set_set_node_on_first_message_only(true);
  api.set_transport_api_version(core_v3::V3);
  api.add_grpc_services()->mutable_envoy_grpc()->set_cluster_name("sds-grpc");
  source.set_resource_api_version(core_v3::V3);
  if (workload_secret) source.mutable_initial_fetch_timeout();
}

void set_versions(tls_v3::CommonTlsContext& out) {
  out.mutable_tls_params()->set_tls_minimum_protocol_version(tls_v3::TlsParameters::TLSv1_2);
  out.mutable_tls_params()->set_tls_maximum_protocol_version(tls_v3::TlsParameters::TLSv1_3);
}

void set_names(tls_v3::CommonTlsContext& out, const std::vector<std::string>& names) {
  auto& context = *out.mutable_combined_validation_context()->mutable_default_validation_context();
  for (const std::string& name : names) context.add_match_subject_alt_names()->set_exact(name);
}

// SPIFFE identities of the service's endpoints.
std::vector<std::string> accounts(const Service& service, const std::string& trust_domain) {
  std::set<std::string> found;
  for (const auto& endpoints : service.endpoints)
    for (const Endpoint& endpoint : endpoints)
      if (!endpoint.account.empty())
        found.insert("spiffe://" + trust_domain + "/ns/" + endpoint.namespace_ + "/sa/" + endpoint.account);
  found.insert(service.subject_names.begin(), service.subject_names.end());
  return {found.begin(), found.end()};
}

tls_v3::UpstreamTlsContext mesh_context(const TlsInput& input, bool http2) {
  tls_v3::UpstreamTlsContext out;
  const bool has_sni = input.tls != nullptr && !input.tls->sni.empty();
  out.set_sni(has_sni ? input.tls->sni : mtls_sni(input.port.number, input.subset, input.service.host));
  auto& common = *out.mutable_common_tls_context();
  common.add_alpn_protocols("istio");
  if (http2) common.add_alpn_protocols("h2");
  set_versions(common);
  set_secret(*common.add_tls_certificate_sds_secret_configs(), "default", true);
  const bool has_names = input.tls != nullptr && !input.tls->subject_alt_names.empty();
  set_names(common, has_names ? input.tls->subject_alt_names
                              : accounts(input.service, input.scope.mesh.config.trust_domain));
  set_secret(*common.mutable_combined_validation_context()->mutable_validation_context_sds_secret_config(), "ROOTCA",
             true);
  return out;
}

std::string root_secret(const model::ClientTls& tls) {
  if (!tls.credential_name.empty()) return "kubernetes://" + tls.credential_name + "-cacert";
  return "file-root:" + (tls.ca_certificates.empty() ? std::string("system") : tls.ca_certificates);
}

// SIMPLE and MUTUAL: certificates from files or secrets, the peer checked against SANs or its own name.
tls_v3::UpstreamTlsContext plain_context(const TlsInput& input, HttpOptions& http) {
  const model::ClientTls& tls = *input.tls;
  tls_v3::UpstreamTlsContext out;
  auto& common = *out.mutable_common_tls_context();
  set_versions(common);
  if (http.explicit_http_config().has_http2_protocol_options()) common.add_alpn_protocols("h2");
  if (tls.mode == Mode::kMutual) {
    const std::string name = tls.credential_name.empty()
                                 ? "file-cert:" + tls.client_certificate + "~" + tls.private_key
                                 : "kubernetes://" + tls.credential_name;
    set_secret(*common.add_tls_certificate_sds_secret_configs(), name, false);
  }
  const std::vector<std::string>& names = tls.subject_alt_names.empty() ? input.service.subject_names : tls.subject_alt_names;
  if (!tls.insecure_skip_verify.value_or(false)) {
    set_names(common, names);
    common.mutable_combined_validation_context()->mutable_default_validation_context();
    set_secret(*common.mutable_combined_validation_context()->mutable_validation_context_sds_secret_config(),
               root_secret(tls), false);
  }
  if (!tls.sni.empty()) {
    out.set_sni(tls.sni);
    return out;
  }
  auto& upstream = *http.mutable_upstream_http_protocol_options();
  upstream.set_auto_sni(true);
  if (names.empty() && !tls.insecure_skip_verify.value_or(false)) upstream.set_auto_san_validation(true);
  return out;
}

void set_socket(core_v3::TransportSocket& out, const tls_v3::UpstreamTlsContext& context) {
  out.set_name(kTlsSocket);
  xds::pack(context, *out.mutable_typed_config());
}

// TLS to the endpoints that are marked as having a sidecar, plain text to the others.
void apply_automatic(cluster_v3::Cluster& out, const TlsInput& input, bool http2) {
  auto& with_sidecar = *out.add_transport_socket_matches();
  with_sidecar.set_name("tlsMode-istio");
  (*with_sidecar.mutable_match()->mutable_fields())["tlsMode"].set_string_value("istio");
  set_socket(*with_sidecar.mutable_transport_socket(), mesh_context(input, http2));
  auto& others = *out.add_transport_socket_matches();
  others.set_name("tlsMode-disabled");
  others.mutable_match();
  others.mutable_transport_socket()->set_name("envoy.transport_sockets.raw_buffer");
  xds::pack(envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer{},
            *others.mutable_transport_socket()->mutable_typed_config());
}

}  // namespace

void apply_upstream_tls(cluster_v3::Cluster& out, HttpOptions& http, const TlsInput& input) {
  const bool http2 = http.explicit_http_config().has_http2_protocol_options();
  if (input.tls == nullptr) {
    // Nothing is known of what stands at an original destination.
    const bool known = out.type() != cluster_v3::Cluster::ORIGINAL_DST;
    if (input.scope.options.auto_mtls && !input.service.external && known) apply_automatic(out, input, http2);
    return;
  }
  switch (input.tls->mode) {
    case Mode::kDisable: return;
    case Mode::kIstioMutual:
      set_socket(*out.mutable_transport_socket(), mesh_context(input, http2));
      return;
    case Mode::kSimple:
    case Mode::kMutual: {
      set_socket(*out.mutable_transport_socket(), plain_context(input, http));
      // Istio's own filter must not offer its mesh protocols to such a server.
      auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
      (*istio.mutable_fields())["alpn_override"].set_string_value("false");
      return;
    }
  }
}

}  // namespace lateen::translate
