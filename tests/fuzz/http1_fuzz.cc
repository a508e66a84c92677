// The HTTP/1 parsers and the chunked decoder: no read out of bounds, and the same outcome whether the bytes come at once,
// one by one, or cut where the input says.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/h1_writer.h"
#include "http/path.h"
#include "http/walk_test.h"

namespace {

using lateen::http::Walk;

std::string walk(Walk::Side side, std::string_view method, std::string_view bytes, std::size_t first, std::size_t piece) {
  Walk walk(side, std::string(method), {.bytes_max = 4096, .fields_max = 20});
  walk.feed(bytes.substr(0, first));
  bytes.remove_prefix(first);
  while (!bytes.empty()) {
    walk.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return walk.text() + walk.body();
}

void require(bool condition) {
  if (!condition) std::abort();
}

// What was accepted is accepted again after it was written, with the same target and host.
void require_stable(std::string_view bytes) {
  std::string region(bytes);
  lateen::http::RequestParser parser;
  if (parser.parse(region.data(), region.size()) != lateen::http::ParseState::kComplete) return;
  if (parser.head().authority.empty()) return;   // HTTP/1.0 without Host
  std::string written;
  append_head(written, parser.head(), frame_request(parser.head(), false));
  std::string again = written;
  lateen::http::RequestParser second;
  require(second.parse(again.data(), again.size()) == lateen::http::ParseState::kComplete);
  require(second.head_bytes() == again.size());
  require(second.head().method == parser.head().method && second.head().path == parser.head().path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 16384) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const bool requests = (data[0] & 1) == 0;
  const Walk::Side side = requests ? Walk::Side::kRequests : Walk::Side::kResponses;
  const std::string_view method = (data[0] & 2) != 0 ? "HEAD" : (data[0] & 4) != 0 ? "CONNECT" : "GET";
  const std::size_t first = bytes.size() * data[1] / 255;
  const std::string whole = walk(side, method, bytes, bytes.size(), 1);
  require(walk(side, method, bytes, first, bytes.size() + 1) == whole);
  require(walk(side, method, bytes, first, 7) == whole);
  if (bytes.size() < 600) require(walk(side, method, bytes, 0, 1) == whole);
  if (requests) require_stable(bytes);

  std::string path;
  const std::string target = "/" + std::string(bytes.substr(0, 256));
  const lateen::http::PathRules rules{.normalize = true, .merge_slashes = (data[0] & 8) != 0,
                                      .escaped_slashes = static_cast<lateen::http::EscapedSlashesAction>(data[0] >> 4 & 3)};
  using lateen::http::PathOutcome;
  if (normalize_path(target, rules, path) == PathOutcome::kChanged) {
    // A normal path is normal: nothing is left for a second reader to find.
    std::string twice;
    const lateen::http::PathRules again{.normalize = true, .merge_slashes = rules.merge_slashes};
    require(normalize_path(path, again, twice) != PathOutcome::kRedirect);
    if (rules.escaped_slashes == lateen::http::EscapedSlashesAction::kKeep) {
      require(normalize_path(path, again, twice) == PathOutcome::kUnchanged);
    }
  }
  (void)lateen::http::parse_authority(bytes);
  (void)lateen::http::parse_url(bytes);
  return 0;
}
