// networking.istio.io ProxyConfig, and a Kubernetes Secret as far as TLS needs it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "model/common.h"
#include "model/registry.h"

namespace lateen::model {

struct ProxyConfig {
  std::map<std::string, std::string> selector;  // matchLabels; only with `has_selector`
  bool has_selector = false;
  std::optional<std::int32_t> concurrency;
  std::map<std::string, std::string> environment_variables;
  std::string image_type;
  bool operator==(const ProxyConfig&) const = default;
};

// WorkloadGroup: what WorkloadEntries of the group are made from.
struct WorkloadGroup {
  std::map<std::string, std::string> labels, annotations;
  WorkloadEntry entry;                         // the template; no address
  bool operator==(const WorkloadGroup&) const = default;
};

// v1 Secret: `data` decoded and `stringData`, the latter first, as Kubernetes stores them.
struct Secret {
  std::string type;                            // "kubernetes.io/tls", "Opaque" ...
  std::map<std::string, std::string> data;     // "tls.crt" -> PEM
  bool operator==(const Secret&) const = default;
};

}  // namespace lateen::model
