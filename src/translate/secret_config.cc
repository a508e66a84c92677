#include "translate/secret_config.h"

#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>

namespace lateen::translate {
namespace {

using SdsSecretConfig = envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;

constexpr std::string_view kBuiltin = "builtin://", kInvalid = "invalid://", kExternal = "sds://";

}  // namespace

std::string file_certificate_name(const std::string& certificate, const std::string& key) {
  return certificate.empty() || key.empty() ? std::string() : "file-cert:" + certificate + "~" + key;
}

std::string file_root_name(const std::string& authorities) {
  return authorities.empty() ? std::string() : "file-root:" + authorities;
}

std::string credential_secret_name(std::string_view credential) {
  if (credential.starts_with(kBuiltin)) return kWorkloadSecret;
  if (credential.starts_with(kInvalid)) return std::string(kInvalid);
  for (const std::string_view scheme : {"configmap://", "kubernetes://", "kubernetes-gateway://"})
    if (credential.starts_with(scheme)) return std::string(credential);
  return "kubernetes://" + std::string(credential);
}

void set_agent_secret(SdsSecretConfig& out, const std::string& name) {
  // Nothing works without the own identity: it is waited for. A file may never come.
  set_secret(out, name, name == kWorkloadSecret || name == kRootSecret ? SecretWait::kYes : SecretWait::kNo);
}

void set_credential(SdsSecretConfig& out, std::string_view credential) {
  if (credential == kBuiltin) return set_agent_secret(out, kWorkloadSecret);
  if (credential == std::string(kBuiltin) + std::string(kAuthoritySuffix)) return set_agent_secret(out, kRootSecret);
  if (credential.starts_with(kExternal)) credential.remove_prefix(kExternal.size());
  out.set_name(credential_secret_name(credential));
  out.mutable_sds_config()->mutable_ads();
  out.mutable_sds_config()->set_resource_api_version(envoy::config::core::v3::V3);
}

}  // namespace lateen::translate
