// The hash of a request by its route's policies, for ring hash and maglev; and the cookies that it makes for this. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "runtime/route.h"

namespace lateen::proxy {

// What a hash may look at besides the head.
struct HashSource {
  std::string_view client_ip;                          // without a port; "": not known
  std::string_view downstream_address, local_address;  // of the connection, with ports: what new cookies are made of
};

// Envoy's combination: the policies in order, each after a rotation of what there was by one bit; a terminal policy ends
// it as soon as there is a hash. Nothing where no policy finds anything. A cookie that is asked for and missing is made;
// the value of its set-cookie field is added to `set_cookies`.
std::optional<std::uint64_t> hash_request(const CompactList<runtime::HashPolicy>& policies, const http::RequestHead& head,
                                          const HashSource& source, std::vector<std::string>& set_cookies);

// The value of a cookie of that name in the request's cookie fields, without quotes around it; "" where there is none.
std::string_view cookie_value(const http::HeaderMap& headers, std::string_view name);

}  // namespace lateen::proxy
