#include "http/h1_fields.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/result.h"

namespace lateen::http {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t'; }

// The first byte in [p, end) that no field value may hold.
const char* end_of_value(const char* p, const char* end) {
#ifdef __SSE2__
  // Sixteen at a time: as signed numbers, control bytes lie in [0, 0x1f], 8-bit bytes below zero.
  const __m128i below_space = _mm_set1_epi8(0x20);
  const __m128i above_8bit = _mm_set1_epi8(-1);
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i tab = _mm_set1_epi8('\t');
  while (end - p >= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_and_si128(_mm_cmplt_epi8(block, below_space), _mm_cmpgt_epi8(block, above_8bit));
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, tab), control), _mm_cmpeq_epi8(block, del));
    const int mask = _mm_movemask_epi8(bad);
    if (mask != 0) return p + std::countr_zero(static_cast<unsigned>(mask));
    p += 16;
  }
#endif
  while (p != end && bytes::in_value(*p)) ++p;
  return p;
}

// What decides where a request goes, or for whom: a client must not have it removed on the way.
bool names_what_routes(std::string_view word) {
  if (word.starts_with(':')) return true;
  constexpr std::array<std::string_view, 4> kNames = {"host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view name) { return equals_ignoring_case(word, name); });
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), bytes::in_name);
}

bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

bool parse_content_length(std::string_view text, std::uint64_t& length) {
  constexpr std::size_t kDigitsMax = 19;  // of 2^63-1; more could only be leading zeros
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (text.empty() || text.size() > kDigitsMax) return false;
  std::uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > kMax) return false;
  length = value;
  return true;
}

void FieldReader::restart(std::size_t fields_max, bool keeps_host) {
  state_ = State::kFieldStart;
  keeps_host_ = keeps_host;
  fields_max_ = fields_max;
  count_ = 0;
  facts_ = {};
  refusal_ = {};
}

void FieldReader::moved(const char* from, const char* to) {
  for (std::string_view* text : {&facts_.host, &facts_.upgrade, &facts_.expect}) *text = moved_view(*text, from, to);
}

bool FieldReader::refuse(std::uint16_t status, std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = {status, detail};
  return false;
}

ParseState FieldReader::read(char* region, std::size_t size, std::size_t& at, HeaderMap& into) {
  while (at < size && state_ != State::kDone) {
    if (!step(region, size, at, into)) return ParseState::kRefused;
  }
  return state_ == State::kDone ? ParseState::kComplete : ParseState::kNeedMore;
}

// The states of one field run into each other where its bytes are there, which is nearly always.
bool FieldReader::step(char* region, std::size_t size, std::size_t& at, HeaderMap& into) {
  switch (state_) {
    case State::kFieldStart:
      if (!field_start(region[at], at)) return false;
      if (state_ != State::kName) return true;
      [[fallthrough]];
    case State::kName:
      if (!name(region, size, at)) return false;
      if (state_ != State::kBeforeValue) return true;
      [[fallthrough]];
    case State::kBeforeValue:
      while (at < size && is_space(region[at])) ++at;
      value_at_ = at;
      if (at == size) return true;
      state_ = State::kValue;
      [[fallthrough]];
    case State::kValue:
      if (!value(region, size, at)) return false;
      if (at == size) return true;
      [[fallthrough]];
    case State::kValueLf:
      if (region[at] != '\n') return refuse(400, "http1.bare_cr");
      ++at;
      state_ = State::kFieldStart;
      return end_field(region, into);
    case State::kEndLf:
      if (region[at] != '\n') return refuse(400, "http1.bare_cr");
      ++at;
      state_ = State::kDone;
      return true;
    case State::kDone:
    case State::kRefused: break;
  }
  LATEEN_CHECK(false && "read() after the end of a head");
  return false;
}

bool FieldReader::field_start(char c, std::size_t& at) {
  if (c == '\r') {
    state_ = State::kEndLf;
    ++at;
    return true;
  }
  if (is_space(c)) return refuse(400, "http1.folded_header");
  if (count_++ == fields_max_) return refuse(431, "http1.too_many_headers");
  name_at_ = at;
  state_ = State::kName;
  return true;
}

bool FieldReader::name(char* region, std::size_t size, std::size_t& at) {
  char* p = region + at;
  char* const end = region + size;
  while (p != end) {
    const char c = bytes::kName[bytes::index(*p)];
    if (c == 0) break;
    *p++ = c;
  }
  at = static_cast<std::size_t>(p - region);
  if (p == end) return true;
  if (*p != ':' || at == name_at_) return refuse(400, "http1.invalid_header_name");
  name_end_ = at++;
  state_ = State::kBeforeValue;
  return true;
}

// Leaves the value behind `at` unless all of `size` was value.
bool FieldReader::value(char* region, std::size_t size, std::size_t& at) {
  const char* const end = region + size;
  const char* const p = end_of_value(region + at, end);
  at = static_cast<std::size_t>(p - region);
  if (p == end) return true;
  if (*p != '\r') return refuse(400, *p == '\n' ? "http1.bare_lf" : "http1.invalid_header_value");
  value_end_ = at++;
  state_ = State::kValueLf;
  return true;
}

bool FieldReader::end_field(const char* region, HeaderMap& into) {
  while (value_end_ > value_at_ && is_space(region[value_end_ - 1])) --value_end_;
  const std::string_view value(region + value_at_, value_end_ - value_at_);
  const std::string_view name(region + name_at_, name_end_ - name_at_);
  const HeaderId id = header_id(name);
  if (id != HeaderId::kOther && !on_known_field(id, value)) return false;
  if (id != HeaderId::kHost || keeps_host_) into.add_reference(Header{name, value, id});
  return true;
}

// A statement on each field that frames or routes; the others need no look, so no list of them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
bool FieldReader::on_known_field(HeaderId id, std::string_view value) {
  switch (id) {
    case HeaderId::kHost:
      if (facts_.host_count++ == 0) facts_.host = value;
      return true;
    case HeaderId::kContentLength: return on_content_length(value);
    case HeaderId::kTransferEncoding: return on_transfer_encoding(value);
    case HeaderId::kConnection:
      for_each_element(value, [this](std::string_view word) {
        facts_.close |= equals_ignoring_case(word, "close");
        facts_.keep_alive |= equals_ignoring_case(word, "keep-alive");
        facts_.wants_upgrade |= equals_ignoring_case(word, "upgrade");
        facts_.names_what_routes |= names_what_routes(word);
      });
      return true;
    case HeaderId::kUpgrade:
      if (facts_.upgrade_count++ == 0) facts_.upgrade = value;
      return true;
    case HeaderId::kExpect:
      if (facts_.expect_count++ == 0) facts_.expect = value;
      return true;
    default: return true;
  }
}
#pragma GCC diagnostic pop

// Also the same length twice is refused: a peer that repeats it is broken or lies (RFC 9112, section 6.3).
bool FieldReader::on_content_length(std::string_view value) {
  if (facts_.has_length) return refuse(400, "http1.duplicate_content_length");
  if (!parse_content_length(value, facts_.length)) return refuse(400, "http1.invalid_content_length");
  facts_.has_length = true;
  return true;
}

// No coding but chunked is understood; a well-formed one that is not is 501 (RFC 9112, section 6.1).
bool FieldReader::on_transfer_encoding(std::string_view value) {
  if (facts_.chunked) return refuse(400, "http1.duplicate_transfer_encoding");
  if (!equals_ignoring_case(value, "chunked")) {
    // In a list chunked must be the last one (RFC 9112, section 6.3).
    bool codings = value.find(',') == std::string_view::npos || (value.ends_with("chunked") && !value.starts_with(','));
    for_each_element(value, [&codings](std::string_view coding) { codings &= is_token(coding); });
    return refuse(codings && !value.empty() ? 501 : 400, "http1.invalid_transfer_encoding");
  }
  facts_.chunked = true;
  return true;
}

}  // namespace lateen::http
