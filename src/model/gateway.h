// networking.istio.io Gateway as the user wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/common.h"

namespace lateen::model {

struct ServerTls {
  bool https_redirect = false;
  std::string mode;                            // PASSTHROUGH, SIMPLE, ... ; "" if not given
  std::string credential_name, server_certificate, private_key, ca_certificates, ca_crl;
  std::string ca_cert_credential_name;
  std::string min_protocol_version, max_protocol_version;
  std::vector<std::string> cipher_suites, subject_alt_names, credential_names;
  std::vector<std::string> verify_certificate_spki, verify_certificate_hash;
  struct CertificateFiles {
    std::string certificate, private_key;
    bool operator==(const CertificateFiles&) const = default;
  };
  std::vector<CertificateFiles> certificates;  // tlsCertificates
  bool insecure_skip_verify = false;
  bool operator==(const ServerTls&) const = default;
};
struct GatewayServer {
  std::uint32_t port = 0;                      // 0 with a unix socket as `bind`
  std::string protocol, port_name, bind, name;
  std::vector<std::string> hosts;
  std::optional<ServerTls> tls;
  bool operator==(const GatewayServer&) const = default;
};
struct Gateway {
  std::map<std::string, std::string> selector;
  std::vector<GatewayServer> servers;
  bool operator==(const Gateway&) const = default;
};

// Whether Istio lets this name of a cipher suite, or expression of BoringSSL ("-ALL"), pass on to Envoy.
bool is_cipher_suite(std::string_view name);

}  // namespace lateen::model
