// The status line and what a response head as a whole must satisfy.
#include <algorithm>

#include "base/result.h"
#include "http/h1_parser.h"

namespace lateen::http {

void ResponseParser::reset(std::string_view method) {
  state_ = State::kVersion;
  to_head_ = method == "HEAD";
  to_connect_ = method == "CONNECT";
  status_digits_ = 0;
  region_ = nullptr;
  at_ = 0;
  reader_.restart(limits_.fields_max, true);
  head_.headers.clear();
  head_.status = 0;
  head_.version = Version::kHttp11;
  framing_ = {};
  refusal_ = {};
}

bool ResponseParser::refuse(std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = {502, detail};
  return false;
}

ParseState ResponseParser::parse(char* region, std::size_t size) {
  LATEEN_CHECK(size >= at_);
  if (region != region_) move_to(region);
  const std::size_t end = std::min(size, limits_.bytes_max);
  while (at_ < end && state_ != State::kDone) {
    if (!step(end)) return ParseState::kRefused;
  }
  if (state_ == State::kDone) return ParseState::kComplete;
  if (at_ < limits_.bytes_max) return ParseState::kNeedMore;
  refuse("http1.headers_too_large");
  return ParseState::kRefused;
}

void ResponseParser::move_to(char* region) {
  if (region_ != nullptr) {
    head_.headers.rebase(region_, at_, region);
    reader_.moved(region_, region);
  }
  region_ = region;
}

bool ResponseParser::step(std::size_t size) {
  switch (state_) {
    case State::kVersion: return version(size);
    case State::kStatus: return status(size);
    case State::kAfterStatus:
      // The space is to be there even without a phrase; many servers leave it out.
      if (region_[at_] != ' ' && region_[at_] != '\r') return refuse("http1.invalid_status");
      if (region_[at_] == ' ') ++at_;
      state_ = State::kReason;
      return true;
    case State::kReason: return reason(size);
    case State::kLineLf:
      if (region_[at_] != '\n') return refuse("http1.bare_cr");
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

bool ResponseParser::version(std::size_t size) {
  constexpr std::string_view kPattern = "HTTP/1.d ";
  while (at_ < size && at_ < kPattern.size()) {
    const char c = region_[at_];
    const bool legal = kPattern[at_] == 'd' ? c == '0' || c == '1' : c == kPattern[at_];
    if (!legal) return refuse("http1.invalid_status_line");
    if (c == '0') head_.version = Version::kHttp10;
    ++at_;
  }
  if (at_ == kPattern.size()) state_ = State::kStatus;
  return true;
}

bool ResponseParser::status(std::size_t size) {
  constexpr std::uint8_t kDigits = 3;
  while (at_ < size && status_digits_ < kDigits) {
    const char c = region_[at_];
    if (c < '0' || c > '9') return refuse("http1.invalid_status");
    head_.status = static_cast<std::uint16_t>(head_.status * 10 + (c - '0'));
    ++at_;
    ++status_digits_;
  }
  if (status_digits_ < kDigits) return true;
  if (head_.status < 100 || head_.status > 599) return refuse("http1.invalid_status");
  state_ = State::kAfterStatus;
  return true;
}

bool ResponseParser::reason(std::size_t size) {
  while (at_ < size && bytes::in_value(region_[at_])) ++at_;
  if (at_ == size) return true;
  if (region_[at_] != '\r') return refuse("http1.invalid_status_line");
  ++at_;
  state_ = State::kLineLf;
  return true;
}

bool ResponseParser::fields(std::size_t size) {
  switch (reader_.read(region_, size, at_, head_.headers)) {
    case ParseState::kNeedMore: return true;
    case ParseState::kComplete: return end_head();
    case ParseState::kRefused: return refuse(reader_.refusal().detail);
  }
  return false;
}

bool ResponseParser::end_head() {
  if (!frame()) return false;
  state_ = State::kDone;
  return true;
}

// RFC 9112, section 6.3, in its order.
bool ResponseParser::frame() {
  const FieldFacts& facts = reader_.facts();
  const bool http_11 = head_.version == Version::kHttp11;
  const std::uint16_t status = head_.status;
  framing_.keep_alive = !facts.close && (http_11 || facts.keep_alive);
  if (status == 101) {
    framing_.body = BodyKind::kTunnel;
    framing_.upgrade = facts.upgrade;
    return true;
  }
  if (facts.chunked && facts.has_length) return refuse("http1.content_length_and_chunked");
  if (facts.chunked && !http_11) return refuse("http1.transfer_encoding_in_http10");
  if (to_connect_ && status >= 200 && status < 300) {
    framing_.body = BodyKind::kTunnel;
    return true;
  }
  if (to_head_ || status < 200 || status == 204 || status == 304) return true;
  if (facts.chunked) {
    framing_.body = BodyKind::kChunked;
  } else if (facts.has_length) {
    framing_.body = facts.length > 0 ? BodyKind::kLength : BodyKind::kNone;
    framing_.length = facts.length;
  } else {
    framing_.body = BodyKind::kUntilClose;
    framing_.keep_alive = false;
  }
  return true;
}

}  // namespace lateen::http
