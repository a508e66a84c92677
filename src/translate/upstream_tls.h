// TLS from the client to a cluster's endpoints: what a DestinationRule says, or Istio's automatic mTLS.
#pragma once

#include <string>

#include "translate/scope.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}
namespace envoy::extensions::upstreams::http::v3 {
class HttpProtocolOptions;
}

namespace lateen::translate {

struct TlsInput {
  const Service& service;
  const Port& port;
  std::string subset;                          // "" for the whole service
  const model::ClientTls* tls = nullptr;       // null: the rule says nothing
  const Scope& scope;
};

void apply_upstream_tls(envoy::config::cluster::v3::Cluster& out,
                        envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const TlsInput& input);

}  // namespace lateen::translate
