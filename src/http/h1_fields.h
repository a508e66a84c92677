// FieldReader: the field lines of an HTTP/1 head, the same for requests and responses, and what they say about framing.
// A part of RequestParser and ResponseParser; nobody else needs it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"
#include "http/message.h"

namespace lateen::http {

// Why a message was not taken. For a request `status` is the answer to give (400, 414, 417, 431, 501, 505); a response
// that was refused is answered by whoever asked for it, `status` is 502 then.
struct Refusal {
  std::uint16_t status = 0;
  std::string_view detail;  // static text for the log: "http1.invalid_header_name"
};

enum class ParseState : std::uint8_t { kNeedMore, kComplete, kRefused };

// Classes of bytes (RFC 9110, sections 5.5 and 5.6.2).
namespace bytes {
constexpr std::size_t index(char c) { return static_cast<unsigned char>(c); }

// The lower-case form of a tchar; 0 for every other byte.
constexpr std::array<char, 256> name_table() {
  std::array<char, 256> table{};
  for (char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) table[index(c)] = c;
  for (char c = 'A'; c <= 'Z'; ++c) table[index(c)] = static_cast<char>(c - 'A' + 'a');
  return table;
}
// Everything but control bytes other than HTAB, and DEL; 8-bit bytes are legal.
constexpr std::array<bool, 256> value_table() {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0x20; byte < 256; ++byte) table[byte] = byte != 0x7f;
  table[index('\t')] = true;
  return table;
}
inline constexpr std::array<char, 256> kName = name_table();
inline constexpr std::array<bool, 256> kValue = value_table();

inline bool in_name(char c) { return kName[index(c)] != 0; }
inline bool in_value(char c) { return kValue[index(c)]; }
}  // namespace bytes

bool is_token(std::string_view text);        // not empty, only tchar
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool equals_ignoring_case(std::string_view text, std::string_view lower_case);
// The text of a whole Content-Length field; nothing if it is not 1*DIGIT up to 2^63-1.
bool parse_content_length(std::string_view text, std::uint64_t& length);

// Calls `element` with each element of a comma-separated list, without white space and without the empty ones.
template <class F>
void for_each_element(std::string_view list, F&& element) {
  std::size_t at = 0;
  while (at <= list.size()) {
    std::size_t end = list.find(',', at);
    if (end == std::string_view::npos) end = list.size();
    std::string_view text = list.substr(at, end - at);
    at = end + 1;
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    if (!text.empty()) element(text);
  }
}

// What the fields said that the parsers must know.
struct FieldFacts {
  std::string_view host;               // the first Host
  std::string_view upgrade;            // the first Upgrade
  std::string_view expect;             // the first Expect
  std::uint64_t length = 0;
  std::uint32_t host_count = 0, upgrade_count = 0, expect_count = 0;
  bool has_length = false;
  bool chunked = false;
  bool close = false, keep_alive = false, wants_upgrade = false;  // words of Connection
  bool names_what_routes = false;      // Connection names a field by which requests are routed or told apart
};

class FieldReader {
 public:
  // Reads on from `at` in region[0, size); fields go into `into`, except Host where `keeps_host` is false. kComplete
  // when the empty line has been read: `at` stands behind it.
  ParseState read(char* region, std::size_t size, std::size_t& at, HeaderMap& into);

  const FieldFacts& facts() const { return facts_; }
  const Refusal& refusal() const { return refusal_; }
  // The region has moved from `from` to `to`.
  void moved(const char* from, const char* to);
  void restart(std::size_t fields_max, bool keeps_host);

 private:
  enum class State : std::uint8_t { kFieldStart, kName, kBeforeValue, kValue, kValueLf, kEndLf, kDone, kRefused };

  bool step(char* region, std::size_t size, std::size_t& at, HeaderMap& into);
  bool field_start(char c, std::size_t& at);
  bool name(char* region, std::size_t size, std::size_t& at);
  bool value(char* region, std::size_t size, std::size_t& at);
  bool end_field(const char* region, HeaderMap& into);
  bool on_known_field(HeaderId id, std::string_view value);
  bool on_content_length(std::string_view value);
  bool on_transfer_encoding(std::string_view value);
  bool refuse(std::uint16_t status, std::string_view detail);

  State state_ = State::kFieldStart;
  bool keeps_host_ = false;
  std::size_t fields_max_ = 0;
  std::size_t count_ = 0;
  std::size_t name_at_ = 0, name_end_ = 0, value_at_ = 0, value_end_ = 0;
  FieldFacts facts_;
  Refusal refusal_;
};

// A view into [from, from + anything) made one into the bytes at `to`; static text and empty views are left alone by the
// caller's knowledge that `text` lies in the region.
inline std::string_view moved_view(std::string_view text, const char* from, const char* to) {
  if (text.data() == nullptr) return text;
  return {to + (text.data() - from), text.size()};
}

}  // namespace lateen::http
