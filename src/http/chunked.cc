#include "http/chunked.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/result.h"

namespace lateen::http {

namespace {

constexpr std::uint8_t kSizeDigitsMax = 16;             // leading zeros included
constexpr std::size_t kExtensionBytesMax = 16 * 1024;   // of one body: they carry nothing and cost the reader
constexpr std::size_t kTrailerBytesMax = 16 * 1024;
constexpr std::size_t kTrailersMax = 100;
constexpr std::uint64_t kChunkBytesMax = std::numeric_limits<std::int64_t>::max();

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

void ChunkedDecoder::reset() {
  state_ = State::kSize;
  digits_ = 0;
  names_extension_ = false;
  left_ = 0;
  extension_bytes_ = trailer_bytes_ = 0;
  line_.clear();
  trailers_.clear();
  refusal_ = {};
}

bool ChunkedDecoder::refuse(std::uint16_t status, std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = {status, detail};
  return false;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
  LATEEN_CHECK(state_ != State::kDone && state_ != State::kRefused);
  std::size_t used = 0;
  while (used < input.size()) {
    if (state_ == State::kData) {
      const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - used));
      left_ -= bytes;
      if (left_ == 0) state_ = State::kDataCr;
      return {Event::kData, used + bytes, input.substr(used, bytes)};
    }
    if (!on_byte(input[used])) return {Event::kRefused, used, {}};
    ++used;
    if (state_ == State::kDone) return {Event::kDone, used, {}};
  }
  return {Event::kNeedMore, used, {}};
}

bool ChunkedDecoder::on_byte(char c) {
  switch (state_) {
    case State::kSize: return on_size(c);
    case State::kSizeSpace:
      // White space behind a size is bad but legal where an extension follows (RFC 9112, section 7.1.1).
      if (++extension_bytes_ > kExtensionBytesMax) return refuse(400, "http1.chunk_extensions_too_large");
      if (c == ';') state_ = State::kExtension;
      return c == ';' || c == ' ' || c == '\t' || refuse(400, "http1.invalid_chunk_size");
    case State::kExtension: return on_extension(c);
    case State::kSizeLf:
      if (c != '\n') return refuse(400, "http1.invalid_chunk_line");
      state_ = left_ == 0 ? State::kTrailer : State::kData;
      digits_ = 0;
      return true;
    case State::kDataCr:
      if (c != '\r') return refuse(400, "http1.chunk_longer_than_its_size");
      state_ = State::kDataLf;
      return true;
    case State::kDataLf:
      if (c != '\n') return refuse(400, "http1.invalid_chunk_line");
      state_ = State::kSize;
      return true;
    case State::kTrailer:
    case State::kTrailerLf: return on_trailer_byte(c);
    case State::kData:
    case State::kDone:
    case State::kRefused: break;
  }
  LATEEN_CHECK(false && "no single byte is read in this state");
  return false;
}

bool ChunkedDecoder::on_size(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    if (digits_++ == kSizeDigitsMax) return refuse(400, "http1.invalid_chunk_size");
    if (left_ > kChunkBytesMax >> 4) return refuse(400, "http1.invalid_chunk_size");
    left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
    return true;
  }
  if (digits_ == 0) return refuse(400, "http1.invalid_chunk_size");
  if (c == '\r') {
    state_ = State::kSizeLf;
  } else if (c == ';') {
    state_ = State::kExtension;
  } else if (c == ' ' || c == '\t') {
    state_ = State::kSizeSpace;
  } else {
    return refuse(400, "http1.invalid_chunk_size");
  }
  return true;
}

// Any legal byte up to the line end: nobody reads extensions, so only their bounds matter.
bool ChunkedDecoder::on_extension(char c) {
  if (c == '\r' && names_extension_) {
    names_extension_ = false;
    state_ = State::kSizeLf;
    return true;
  }
  if (!bytes::in_value(c)) return refuse(400, "http1.invalid_chunk_extension");
  if (++extension_bytes_ > kExtensionBytesMax) return refuse(400, "http1.chunk_extensions_too_large");
  names_extension_ |= c != ' ' && c != '\t';
  return true;
}

bool ChunkedDecoder::on_trailer_byte(char c) {
  if (state_ == State::kTrailerLf) {
    if (c != '\n') return refuse(400, "http1.bare_cr");
    return on_trailer_line();
  }
  if (c == '\r') {
    state_ = State::kTrailerLf;
    return true;
  }
  if (!bytes::in_value(c)) return refuse(400, "http1.invalid_trailer");
  if (++trailer_bytes_ > kTrailerBytesMax) return refuse(431, "http1.trailers_too_large");
  line_ += c;
  return true;
}

bool ChunkedDecoder::on_trailer_line() {
  if (line_.empty()) {
    state_ = State::kDone;
    return true;
  }
  const std::size_t colon = line_.find(':');
  if (colon == std::string::npos || !is_token({line_.data(), colon})) return refuse(400, "http1.invalid_trailer");
  std::transform(line_.begin(), line_.begin() + static_cast<std::ptrdiff_t>(colon), line_.begin(), lower);
  const std::string_view name(line_.data(), colon);
  std::string_view value(line_.data() + colon + 1, line_.size() - colon - 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (!allowed_in_trailers(header_id(name))) return refuse(400, "http1.forbidden_trailer");
  if (trailers_.size() == kTrailersMax) return refuse(431, "http1.too_many_trailers");
  trailers_.add(name, value);
  line_.clear();
  state_ = State::kTrailer;
  return true;
}

std::size_t write_chunk_head(char* out, std::uint64_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::size_t digits = 1;
  while (digits < 16 && bytes >> (4 * digits) != 0) ++digits;
  for (std::size_t i = 0; i < digits; ++i) out[i] = kDigits[bytes >> (4 * (digits - 1 - i)) & 15];
  put(out + digits, "\r\n");
  return digits + 2;
}

std::size_t last_chunk_bytes_max(const HeaderMap& trailers) {
  std::size_t bytes = kLastChunk.size();
  for (const Header& h : trailers.fields()) bytes += h.name.size() + h.value.size() + 4;
  return bytes;
}

std::size_t write_last_chunk(char* out, const HeaderMap& trailers) {
  char* at = put(out, "0\r\n");
  for (const Header& h : trailers.fields()) {
    if (!allowed_in_trailers(h.id)) continue;
    at = put(put(put(put(at, h.name), ": "), h.value), "\r\n");
  }
  return static_cast<std::size_t>(put(at, "\r\n") - out);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
bool allowed_in_trailers(HeaderId id) {
  switch (id) {
    case HeaderId::kHost:
    case HeaderId::kConnection:
    case HeaderId::kContentLength:
    case HeaderId::kTransferEncoding:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
    case HeaderId::kUpgrade:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kExpect:
    case HeaderId::kContentType:
    case HeaderId::kCookie:
    case HeaderId::kSetCookie:
    case HeaderId::kAuthorization:
    case HeaderId::kProxyAuthorization:
    case HeaderId::kProxyAuthenticate: return false;
    default: return true;
  }
}
#pragma GCC diagnostic pop

}  // namespace lateen::http
