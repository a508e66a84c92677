// Where an Envoy gets its keys and certificates: the agent beside it serves them by name.
#pragma once

#include <string>

namespace envoy::extensions::transport_sockets::tls::v3 {
class SdsSecretConfig;
}

namespace lateen::translate {

// The workload's own key and certificate, and the roots of the mesh.
inline constexpr const char* kWorkloadSecret = "default";
inline constexpr const char* kRootSecret = "ROOTCA";

// `waits`: the Envoy waits for the secret as long as it takes, as it does for the workload's own.
enum class SecretWait { kNo, kYes };
void set_secret(envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& out, const std::string& name, SecretWait wait);

}  // namespace lateen::translate
