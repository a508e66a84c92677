// networking.istio.io Gateway as the user wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"

namespace lateen::model {

struct ServerTls {
  bool https_redirect = false;
  std::string mode;                            // PASSTHROUGH, SIMPLE, ... ; "" if not given
  std::string credential_name, server_certificate, private_key, ca_certificates;
  std::string min_protocol_version, max_protocol_version;
  std::vector<std::string> cipher_suites, subject_alt_names;
  bool operator==(const ServerTls&) const = default;
};
struct GatewayServer {
  std::uint32_t port = 0;
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

}  // namespace lateen::model
