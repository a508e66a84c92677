// Which workload carries a Gateway out.
#pragma once

#include <string>

#include "model/gateway.h"

namespace lateen::model {

// Its namespace, and so that of the Secrets that it may read: Istio's own gateways ("istio: ingressgateway") run in the
// root namespace, others beside their Gateway.
inline const std::string& workload_namespace(const Gateway& gateway, const std::string& own_namespace, const std::string& root_namespace) {
  return gateway.selector.contains("istio") ? root_namespace : own_namespace;
}

}  // namespace lateen::model
