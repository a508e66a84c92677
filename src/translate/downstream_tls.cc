#include "translate/downstream_tls.h"

#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include <algorithm>
#include <string>
#include <vector>

#include "translate/secret_config.h"
#include "xds/messages.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;
using Parameters = tls_v3::TlsParameters;

bool is_mesh(const model::ServerTls& tls) { return tls.mode == "ISTIO_MUTUAL"; }
bool asks_clients(const model::ServerTls& tls) { return tls.mode == "MUTUAL" || tls.mode == "OPTIONAL_MUTUAL" || is_mesh(tls); }

void set_names(tls_v3::CertificateValidationContext& out, const model::ServerTls& tls) {
  for (const std::string& name : tls.subject_alt_names) out.add_match_subject_alt_names()->set_exact(name);
}

void trust_anybody(tls_v3::CertificateValidationContext& out, const model::ServerTls& tls) {
  if (tls.insecure_skip_verify) out.set_trust_chain_verification(tls_v3::CertificateValidationContext::ACCEPT_UNTRUSTED);
}

// Certificates from Secrets; the authority for clients is in the first one's, unless it has a name of its own.
void set_credentials(tls_v3::CommonTlsContext& out, const model::ServerTls& tls) {
  const std::vector<std::string> names = tls.credential_names.empty() ? std::vector{tls.credential_name} : tls.credential_names;
  for (const std::string& name : names) set_credential(*out.add_tls_certificate_sds_secret_configs(), name);
  if (!asks_clients(tls)) {
    if (!tls.subject_alt_names.empty()) set_names(*out.mutable_validation_context(), tls);
    return;
  }
  auto& combined = *out.mutable_combined_validation_context();
  auto& context = *combined.mutable_default_validation_context();
  set_names(context, tls);
  for (const std::string& hash : tls.verify_certificate_spki) context.add_verify_certificate_spki(hash);
  for (const std::string& hash : tls.verify_certificate_hash) context.add_verify_certificate_hash(hash);
  trust_anybody(context, tls);
  const std::string authority = tls.ca_cert_credential_name.empty() ? names.front() + std::string(kAuthoritySuffix)
                                                                    : tls.ca_cert_credential_name;
  set_credential(*combined.mutable_validation_context_sds_secret_config(), authority);
}

// Certificates from files, or the workload's own.
void set_files(tls_v3::CommonTlsContext& out, const model::ServerTls& tls) {
  const auto certificate = [&](const std::string& file) {
    set_agent_secret(*out.add_tls_certificate_sds_secret_configs(), file.empty() ? std::string(kWorkloadSecret) : file);
  };
  for (const auto& files : tls.certificates) certificate(file_certificate_name(files.certificate, files.private_key));
  if (tls.certificates.empty())
    certificate(is_mesh(tls) ? std::string() : file_certificate_name(tls.server_certificate, tls.private_key));
  if (!asks_clients(tls)) return;
  auto& combined = *out.mutable_combined_validation_context();
  auto& context = *combined.mutable_default_validation_context();
  set_names(context, tls);
  if (!tls.ca_crl.empty()) context.mutable_crl()->set_filename(tls.ca_crl);
  trust_anybody(context, tls);
  const std::string authority = is_mesh(tls) ? std::string() : file_root_name(tls.ca_certificates);
  set_agent_secret(*combined.mutable_validation_context_sds_secret_config(), authority.empty() ? std::string(kRootSecret) : authority);
}

Parameters::TlsProtocol version_of(const std::string& text) {
  if (text == "TLSV1_0") return Parameters::TLSv1_0;
  if (text == "TLSV1_1") return Parameters::TLSv1_1;
  if (text == "TLSV1_2") return Parameters::TLSv1_2;
  if (text == "TLSV1_3") return Parameters::TLSv1_3;
  return Parameters::TLS_AUTO;
}

// The server's own over the mesh's. Ciphers that Envoy would refuse are left out.
void set_parameters(tls_v3::CommonTlsContext& out, const model::ServerTls& tls, const model::MeshTls& defaults) {
  for (const std::string& curve : defaults.ecdh_curves) out.mutable_tls_params()->add_ecdh_curves(curve);
  const auto lowest = version_of(tls.min_protocol_version), highest = version_of(tls.max_protocol_version);
  const auto of_mesh = version_of(defaults.min_protocol_version);
  if (lowest != Parameters::TLS_AUTO) out.mutable_tls_params()->set_tls_minimum_protocol_version(lowest);
  else if (of_mesh != Parameters::TLS_AUTO) out.mutable_tls_params()->set_tls_minimum_protocol_version(of_mesh);
  if (highest != Parameters::TLS_AUTO) out.mutable_tls_params()->set_tls_maximum_protocol_version(highest);
  std::vector<std::string> suites;
  for (const std::string& suite : tls.cipher_suites)
    if (model::is_cipher_suite(suite) && std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
  for (const std::string& suite : suites.empty() ? defaults.cipher_suites : suites) out.mutable_tls_params()->add_cipher_suites(suite);
}

}  // namespace

void fill_downstream_tls(envoy::config::core::v3::TransportSocket& out, const model::ServerTls& tls,
                         const model::MeshTls& defaults, bool opaque) {
  tls_v3::DownstreamTlsContext context;
  auto& common = *context.mutable_common_tls_context();
  if (opaque && is_mesh(tls)) common.add_alpn_protocols("istio-peer-exchange");
  common.add_alpn_protocols("h2");
  common.add_alpn_protocols("http/1.1");
  context.mutable_require_client_certificate()->set_value(tls.mode == "MUTUAL" || is_mesh(tls));
  const bool by_name = !tls.credential_name.empty() || !tls.credential_names.empty();
  if (by_name && !is_mesh(tls)) set_credentials(common, tls);
  else set_files(common, tls);
  if (!is_mesh(tls)) set_parameters(common, tls, defaults);
  out.set_name("envoy.transport_sockets.tls");
  xds::pack(context, *out.mutable_typed_config());
}

}  // namespace lateen::translate
