// The arguments of `lateen echo`. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/flags.h"
#include "cli/registration.h"
#include "net/loop.h"

namespace lateen::cli {

inline constexpr std::size_t kEchoCallsMax = 16;

// A URL that --call asks for: "http://ratings:9080/ratings/1".
struct EchoCall {
  std::string url;
  std::string authority;   // "ratings:9080"
};

struct EchoArguments {
  Registration registration;                   // address and port are filled in when the socket is open
  std::string admin;
  net::Address listen;                         // port 0: a free one
  std::uint16_t status = 200;
  Duration delay{};
  bool hang = false, reset = false;
  std::uint64_t fail_first = 0;                // so many requests get fail_status
  std::uint16_t fail_status = 503;
  std::string message;                         // --body: the member "body" of the answer
  std::optional<std::string> plain;            // --plain-body: the whole answer
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<EchoCall> calls;
  bool help = false;
};

extern const Usage kEchoUsage;

// Errors (kInvalidConfig) say what to write instead.
Result<EchoArguments> parse_echo_arguments(std::span<const std::string> args);

}  // namespace lateen::cli
