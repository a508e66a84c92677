// What every kind shares: identity, labels, creation time, and the side table of field positions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace lateen::model {

enum class Kind : std::uint8_t {
  kVirtualService, kDestinationRule, kGateway, kServiceEntry, kWorkloadEntry,
  kService, kEndpointSlice, kEndpoints, kPod, kNamespace,
  kSidecar, kEnvoyFilter, kProxyConfig, kWorkloadGroup, kSecret,
};
inline constexpr int kKindCount = 15;

// "VirtualService", "virtual-service" (as in Istio's config metadata), "virtualservices", "vs".
struct KindNames {
  Kind kind;
  std::string_view name, hyphenated, plural, short_name, api_group;
  bool is_istio;
};
const KindNames& names(Kind kind);
// Accepts name, plural and short name in any case: "vs", "VirtualService", "virtualservices", "svc", "ep" ...
std::optional<Kind> parse_kind(std::string_view text);

struct Key {
  Kind kind = Kind::kVirtualService;
  std::string namespace_;
  std::string name;
  auto operator<=>(const Key&) const = default;
};
std::string to_string(const Key& key);  // "VirtualService default/reviews"

struct Metadata {
  std::string name;
  std::string namespace_ = "default";
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::optional<WallTime> created;      // metadata.creationTimestamp, or when it was applied or first seen

  bool operator==(const Metadata&) const = default;
};


}  // namespace lateen::model
