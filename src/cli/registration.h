// How a workload of trials (`lateen echo`) tells the mesh that it is there.
//
// POST /lateen/register on the admin port, with the JSON of a Registration as its body. The mesh answers
//   200, Transfer-Encoding: chunked
// with one chunk: the JSON of a RegistrationAnswer and a newline; it leaves the response open. The workload is in the
// mesh for exactly as long as that connection lives: when either side ends it, the workload is taken out. Any other
// status is a refusal, with its reason as text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lateen::cli {

inline constexpr std::size_t kRegistrationBytesMax = 64 * 1024;
inline constexpr std::size_t kRegistrationLabelsMax = 64;

// What a Service, its EndpointSlice and a Pod would say. The mesh makes of it: a service `service.namespace` with
// `service_port` (unless the mesh already has one of that name, which then must select these labels) and one endpoint.
struct Registration {
  std::string service;                         // "reviews"; empty: an identity that only calls others
  std::string namespace_ = "default";
  std::string version;                         // "v1"; may be empty
  std::string identity;                        // workload name as in --as: "reviews-v1"
  std::string address;                         // where it listens: "127.0.0.1"
  std::uint16_t port = 0;                      // where it listens; 0 only where `service` is empty
  std::uint16_t service_port = 9080;           // what clients dial
  std::string protocol = "http";               // "http", "http2" or "grpc": Istio's name of the port's protocol
  std::map<std::string, std::string> labels;   // with app and version
  bool operator==(const Registration&) const = default;
};

struct RegistrationAnswer {
  std::string name;                            // under which it is listed, unique: "reviews-v1-2"
  std::string http_proxy;                      // where calls through the mesh go: "127.0.0.1:15007"
  bool operator==(const RegistrationAnswer&) const = default;
};

std::string to_json(const Registration& registration);
// Errors: kInvalidConfig, naming the field; kOverLimit.
Result<Registration> parse_registration(std::string_view json);

std::string to_json(const RegistrationAnswer& answer);
Result<RegistrationAnswer> parse_registration_answer(std::string_view json);

}  // namespace lateen::cli
