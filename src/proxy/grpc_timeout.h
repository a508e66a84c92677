// The header grpc-timeout: "<up to 8 digits><unit>" (gRPC over HTTP2, "Timeout").
#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "http/headers.h"

namespace lateen::proxy {

// What the headers ask for; nothing where there is no such header, or something else in it.
std::optional<Duration> grpc_timeout(const http::HeaderMap& headers);

// The value for such a time, in the smallest unit from milliseconds on that its digits can hold.
std::string grpc_timeout_text(std::chrono::milliseconds timeout);

}  // namespace lateen::proxy
