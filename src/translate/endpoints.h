// Endpoints of a service's port, or of a subset of it, as Envoy wants them.
#pragma once

#include <optional>
#include <string>

#include "translate/locality.h"
#include "translate/registry.h"
#include "translate/translate.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}

namespace lateen::translate {

struct EndpointQuery {
  const Service& service;
  const Port& port;
  const Labels* labels = nullptr;              // of the subset; null: all endpoints
  const ClientPlace& place;
  LocalityChoice locality;
  bool failover = false;                       // outlier detection is on
  bool only_ready = false;                     // leave out those that are known to be unhealthy
  const model::ClientTls* tls = nullptr;       // what a rule says of TLS to endpoints; null: nothing
  bool only_mtls = false;                      // leave out those that take plain text
};

// The endpoints that the query asks for, by locality and priority.
void fill_load_assignment(envoy::config::endpoint::v3::ClusterLoadAssignment& out, const std::string& cluster,
                          const EndpointQuery& query, const Options& options);

}  // namespace lateen::translate
