// CORS as Envoy's filter does it (envoy.extensions.filters.http.cors.v3): what a request with an Origin is, and what its
// response must say. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/message.h"
#include "proxy/random.h"
#include "runtime/route.h"

namespace lateen::proxy {

enum class CorsVerdict : std::uint8_t {
  kNone,              // no origin, or the policy is off for this request: nothing happens
  kAllowed,           // goes on; allow_origin() on whatever the client gets
  kPreflight,         // answered here: write_preflight()
  kNotAllowed,        // goes on as it is
  kPreflightRefused,  // answered here with 200 and nothing else
};

CorsVerdict judge_cors(const runtime::Cors& policy, const http::RequestHead& head, Random& random);

// What a browser may see of the response; fields of the same names that the upstream sent are replaced. The origin stands
// in `request`, the texts in `policy`, and both must outlive `headers`.
void allow_origin(const runtime::Cors& policy, std::string_view origin, http::HeaderMap& headers);
// What a preflight asked for. Together with allow_origin().
void write_preflight(const runtime::Cors& policy, const http::RequestHead& request, http::HeaderMap& headers);

// The Origin of `head`; "" where there is none.
std::string_view origin_of(const http::RequestHead& head);

}  // namespace lateen::proxy
