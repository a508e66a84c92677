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
  bool selected = false;                       // the rule selects its clients
  bool passthrough = false;                    // the rule's load balancer is PASSTHROUGH
  bool dynamic = false;                        // names are resolved request by request
};

void apply_upstream_tls(envoy::config::cluster::v3::Cluster& out,
                        envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const TlsInput& input);
// A header before everything else that tells the endpoint who the client is. After apply_upstream_tls().
void apply_proxy_protocol(envoy::config::cluster::v3::Cluster& out, model::ProxyProtocolVersion version);

}  // namespace lateen::translate
