// The request's first line and what a request head as a whole must satisfy.
#include <algorithm>
#include <optional>

#include "base/result.h"
#include "http/h1_parser.h"
#include "http/path.h"

namespace lateen::http {

namespace {

constexpr std::uint8_t kEmptyLinesMax = 4;      // before a request; RFC 9112, section 2.2 asks for at least one
constexpr std::size_t kVersionBytes = 8;        // "HTTP/1.1"

// Graphic ASCII without "#": no fragment is ever sent (RFC 9112, section 3.2).
bool in_target(char c) { return c > 0x20 && c < 0x7f && c != '#'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void RequestParser::reset() {
  state_ = State::kBefore;
  empty_lines_ = 0;
  connect_ = false;
  region_ = nullptr;
  at_ = part_at_ = 0;
  reader_.restart(limits_.fields_max, false);
  head_.headers.clear();
  head_.method = head_.scheme = head_.authority = head_.path = {};
  head_.version = Version::kHttp11;
  head_.absolute_form = head_.is_upgrade = head_.expects_continue = false;
  framing_ = {};
  refusal_ = {};
}

bool RequestParser::refuse(std::uint16_t status, std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = {status, detail};
  return false;
}

ParseState RequestParser::parse(char* region, std::size_t size) {
  LATEEN_CHECK(size >= at_);
  if (region != region_) move_to(region);
  const std::size_t end = std::min(size, limits_.bytes_max);
  while (at_ < end && state_ != State::kDone) {
    if (!step(end)) return ParseState::kRefused;
  }
  if (state_ == State::kDone) return ParseState::kComplete;
  if (at_ < limits_.bytes_max) return ParseState::kNeedMore;
  const bool in_line = state_ == State::kTarget;
  refuse(in_line ? 414 : 431, in_line ? "http1.uri_too_long" : "http1.headers_too_large");
  return ParseState::kRefused;
}

void RequestParser::move_to(char* region) {
  if (region_ != nullptr) {
    const char* from = region_;
    // Static text comes into these only with the end of the head.
    for (std::string_view* text : {&head_.method, &head_.authority, &head_.path}) {
      *text = moved_view(*text, from, region);
    }
    head_.headers.rebase(from, at_, region);
    reader_.moved(from, region);
  }
  region_ = region;
}

bool RequestParser::step(std::size_t size) {
  switch (state_) {
    case State::kBefore: return before();
    case State::kBeforeLf:
      if (region_[at_] != '\n') return refuse(400, "http1.bare_cr");
      ++at_;
      state_ = State::kBefore;
      return true;
    case State::kMethod: return method(size);
    case State::kTarget: return target(size);
    case State::kVersion: return version(size);
    case State::kLineLf:
      if (region_[at_] != '\n') return refuse(400, "http1.bare_cr");
      ++at_;
      state_ = State::kFields;
      return true;
    case State::kFields: return fields(size);
    case State::kDone:
    case State::kRefused: break;
  }
  LATEEN_CHECK(false && "parse() after the end of a head");
  return false;
}

bool RequestParser::before() {
  if (region_[at_] != '\r') {
    part_at_ = at_;
    state_ = State::kMethod;
    return true;
  }
  if (empty_lines_++ == kEmptyLinesMax) return refuse(400, "http1.empty_lines_before_request");
  ++at_;
  state_ = State::kBeforeLf;
  return true;
}

bool RequestParser::method(std::size_t size) {
  while (at_ < size && bytes::in_name(region_[at_])) ++at_;
  if (at_ == size) return true;
  if (region_[at_] != ' ' || at_ == part_at_) return refuse(400, "http1.invalid_method");
  head_.method = {region_ + part_at_, at_ - part_at_};
  connect_ = head_.method == "CONNECT";
  part_at_ = ++at_;
  state_ = State::kTarget;
  return true;
}

bool RequestParser::target(std::size_t size) {
  while (at_ < size && in_target(region_[at_])) ++at_;
  if (at_ == size) return true;
  // "GET /path" and the end of the line: HTTP/0.9, which has no version.
  if (region_[at_] == '\r' || region_[at_] == '\n') return refuse(400, "http1.no_version");
  if (region_[at_] != ' ') return refuse(400, "http1.invalid_url");
  if (!on_target({region_ + part_at_, at_ - part_at_})) return false;
  part_at_ = ++at_;
  state_ = State::kVersion;
  return true;
}

// The four forms of RFC 9112, section 3.2.
bool RequestParser::on_target(std::string_view target) {
  if (connect_) {
    const std::optional<Authority> authority = parse_authority(target);
    if (!authority || !authority->port) return refuse(400, "http1.invalid_url");
    head_.authority = target;
    return true;
  }
  if (target.starts_with('/')) {
    head_.path = target;
    return true;
  }
  if (target == "*") {
    // The first line of the HTTP/2 preface goes on to its version, so that its answer is 505.
    if (head_.method != "OPTIONS" && head_.method != "PRI") return refuse(400, "http1.invalid_url");
    head_.path = target;
    return true;
  }
  return on_absolute_target(target);
}

bool RequestParser::on_absolute_target(std::string_view target) {
  const std::size_t colon = target.find("://");
  const std::string_view scheme = target.substr(0, colon);
  if (colon == std::string_view::npos) return refuse(400, "http1.invalid_url");
  if (equals_ignoring_case(scheme, "http")) {
    head_.scheme = "http";
  } else if (equals_ignoring_case(scheme, "https")) {
    head_.scheme = "https";
  } else {
    return refuse(400, "http1.invalid_scheme");
  }
  const std::size_t begin = colon + 3;
  const std::size_t end = std::min(target.find_first_of("/?", begin), target.size());
  std::string_view authority = target.substr(begin, end - begin);
  if (!parse_authority(authority)) return refuse(400, "http1.invalid_authority");
  std::string_view path = target.substr(end);
  if (path.starts_with('?')) {
    // A query without a path: the path is "/". The byte for it is won by moving the authority over the second slash
    // of "://".
    char* const bytes = region_ + part_at_;
    std::copy(bytes + begin, bytes + end, bytes + begin - 1);
    bytes[end - 1] = '/';
    authority = target.substr(begin - 1, end - begin);
    path = target.substr(end - 1);
  }
  head_.absolute_form = true;
  head_.authority = authority;
  head_.path = path;
  return true;
}

bool RequestParser::version(std::size_t size) {
  constexpr std::string_view kPattern = "HTTP/d.d";
  while (at_ < size && at_ - part_at_ < kVersionBytes) {
    const char wanted = kPattern[at_ - part_at_];
    const char c = region_[at_];
    if (wanted == 'd' ? !is_digit(c) : c != wanted) return refuse(400, "http1.invalid_version");
    ++at_;
  }
  if (at_ == size) return true;
  if (region_[at_] != '\r') return refuse(400, "http1.invalid_version");
  if (!on_version()) return false;
  ++at_;
  state_ = State::kLineLf;
  return true;
}

bool RequestParser::on_version() {
  const std::string_view number(region_ + part_at_ + 5, 3);
  if (number != "1.1" && number != "1.0") return refuse(505, "http1.version_not_supported");
  head_.version = number == "1.1" ? Version::kHttp11 : Version::kHttp10;
  // PRI is reserved for the HTTP/2 preface (RFC 9113, section 11.6).
  if (head_.method == "PRI") return refuse(400, "http1.invalid_method");
  return true;
}

bool RequestParser::fields(std::size_t size) {
  switch (reader_.read(region_, size, at_, head_.headers)) {
    case ParseState::kNeedMore: return true;
    case ParseState::kComplete: return end_head();
    case ParseState::kRefused: return refuse(reader_.refusal().status, reader_.refusal().detail);
  }
  return false;
}

bool RequestParser::end_head() {
  const FieldFacts& facts = reader_.facts();
  const bool http_11 = head_.version == Version::kHttp11;
  if (facts.host_count > 1) return refuse(400, "http1.duplicate_host");
  if (facts.names_what_routes) return refuse(400, "http1.connection_header_rejected");
  if (facts.host_count == 0 && http_11) return refuse(400, "http1.missing_host");
  if (facts.host_count == 1 && !parse_authority(facts.host)) return refuse(400, "http1.invalid_host");
  if (head_.authority.empty()) head_.authority = facts.host;
  if (head_.authority.ends_with(':')) head_.authority.remove_suffix(1);
  if (head_.absolute_form && head_.path.empty()) head_.path = head_.method == "OPTIONS" ? "*" : "/";

  if (facts.expect_count > 0 && http_11) {
    if (facts.expect_count > 1 || !equals_ignoring_case(facts.expect, "100-continue")) {
      return refuse(417, "http1.unknown_expectation");
    }
    head_.expects_continue = true;
  } else if (facts.expect_count > 0) {
    head_.headers.remove(HeaderId::kExpect);   // an HTTP/1.0 client means nothing by it (RFC 9110, section 10.1.1)
  }
  if (!frame()) return false;
  state_ = State::kDone;
  return true;
}

bool RequestParser::frame() {
  const FieldFacts& facts = reader_.facts();
  const bool http_11 = head_.version == Version::kHttp11;
  if (facts.chunked && facts.has_length) return refuse(400, "http1.content_length_and_chunked");
  if (facts.chunked && !http_11) return refuse(400, "http1.transfer_encoding_in_http10");
  framing_.keep_alive = !facts.close && (http_11 || facts.keep_alive);
  if (connect_) {
    // Content of a CONNECT has no meaning (RFC 9110, section 9.3.6) and would be read as the tunnel's first bytes.
    if (facts.chunked || facts.has_length) return refuse(400, "http1.body_disallowed");
    framing_.body = BodyKind::kTunnel;
    return true;
  }
  if (facts.chunked) {
    framing_.body = BodyKind::kChunked;
  } else if (facts.length > 0) {
    framing_.body = BodyKind::kLength;
    framing_.length = facts.length;
  }
  // h2c is never passed on: the server behind would change the protocol under the proxy.
  head_.is_upgrade = http_11 && facts.wants_upgrade && facts.upgrade_count == 1 && !facts.upgrade.empty() &&
                     !equals_ignoring_case(facts.upgrade, "h2c") && facts.upgrade.find(',') == std::string_view::npos;
  if (head_.is_upgrade) framing_.upgrade = facts.upgrade;
  else if (facts.upgrade_count > 0) head_.headers.remove("http2-settings");   // of an upgrade that does not take place
  return true;
}

}  // namespace lateen::http
