// istioctl's tables out of Envoy's own pages: /config_dump and /clusters?format=json, of this mesh or of any Envoy.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen::cli {

// What is asked for; empty: everything.
struct ProxyConfigFilter {
  std::string fqdn, direction, subset, name, address, cluster, status, type;
  std::uint32_t port = 0;
};

// What Envoy's pages do not say: filled from /lateen/clusters where a Lateen answers.
struct EjectionState {
  std::uint32_t endpoints = 0, ejected = 0;
  std::int64_t returns_in_ms = 0;                          // the first of them
  std::map<std::string, std::int64_t> left_ms_by_address;  // of the ejected ones
};
using Ejections = std::map<std::string, EjectionState>;    // by cluster; empty: istioctl's columns alone

// "1/2, 57 s left"; "0/2"; "-" for a cluster without endpoints.
std::string ejected_text(const EjectionState& state);

// The tables of `-o short`. Errors: kProtocol when the text is not such a dump.
Result<std::string> cluster_table(std::string_view config_dump, const ProxyConfigFilter& filter, const Ejections* ejections);
Result<std::string> route_table(std::string_view config_dump, const ProxyConfigFilter& filter);
Result<std::string> listener_table(std::string_view config_dump, const ProxyConfigFilter& filter);
Result<std::string> endpoint_table(std::string_view clusters, const ProxyConfigFilter& filter, const Ejections* ejections);

// The resources themselves, as a JSON list with Envoy's names in camel case.
Result<std::string> cluster_json(std::string_view config_dump, const ProxyConfigFilter& filter);
Result<std::string> route_json(std::string_view config_dump, const ProxyConfigFilter& filter);
Result<std::string> listener_json(std::string_view config_dump, const ProxyConfigFilter& filter);
Result<std::string> endpoint_json(std::string_view clusters, const ProxyConfigFilter& filter);

// JSON as the same values in YAML.
Result<std::string> json_to_yaml(std::string_view json);

}  // namespace lateen::cli
