// How proxies come to certificates and keys: names of secrets, and whom to ask for them.
#pragma once

#include <string>
#include <string_view>

#include "translate/tls_secrets.h"

namespace envoy::extensions::transport_sockets::tls::v3 {
class SdsSecretConfig;
}

namespace lateen::translate {

inline constexpr std::string_view kAuthoritySuffix = "-cacert";

// Names of secrets that are files: "file-cert:CERTIFICATE~KEY", "file-root:AUTHORITIES".
std::string file_certificate_name(const std::string& certificate, const std::string& key);
std::string file_root_name(const std::string& authorities);
// Of a credentialName: "kubernetes://NAME", unless it has a scheme of its own.
std::string credential_secret_name(std::string_view credential);

// From the agent beside the proxy: the workload's own secrets, and files.
void set_agent_secret(envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& out, const std::string& name);
// A credential, by credentialName: from the control plane.
void set_credential(envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& out, std::string_view credential);

}  // namespace lateen::translate
