#include "proxy/grpc_web.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proxy/local_reply.h"

namespace lateen::proxy {
namespace {

using http::HeaderId;

constexpr std::string_view kBinary = "application/grpc-web", kBinaryProto = "application/grpc-web+proto";
constexpr std::string_view kText = "application/grpc-web-text", kTextProto = "application/grpc-web-text+proto";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kTrailersFrame = '\x80';

bool is_text(std::string_view type) { return type == kText || type == kTextProto; }
bool is_grpc_web(std::string_view type) { return type == kBinary || type == kBinaryProto || is_text(type); }

std::optional<std::uint32_t> digit_of(char c) {
  const std::size_t at = kAlphabet.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint32_t>(at);
}

}  // namespace

std::unique_ptr<GrpcWeb> GrpcWeb::begin(http::RequestHead& head) {
  const std::string_view type = head.headers.get(HeaderId::kContentType).value_or("");
  if (!is_grpc_web(type)) return nullptr;
  const std::string_view accepted = head.headers.get("accept").value_or("");
  const bool text_request = is_text(type);
  const bool text_response = is_text(accepted);
  head.headers.remove(HeaderId::kContentType);
  head.headers.add_reference(HeaderId::kContentType, "application/grpc");
  head.headers.remove(HeaderId::kContentLength);
  head.headers.remove(HeaderId::kTe);
  head.headers.add_reference(HeaderId::kTe, "trailers");
  head.headers.remove("grpc-accept-encoding");
  head.headers.add_reference("grpc-accept-encoding", "identity");
  return std::unique_ptr<GrpcWeb>(new GrpcWeb(text_request, text_response));
}

// Frames may be encoded one by one, so padding may stand in the middle, at the end of a quantum.
bool GrpcWeb::take_character(char c, std::string& out) {
  if (c == '=') {
    if (characters_ < 2) return false;
    ++padding_;
    quantum_ <<= 6;
  } else {
    const std::optional<std::uint32_t> digit = digit_of(c);
    if (!digit || padding_ > 0) return false;
    quantum_ = quantum_ << 6 | *digit;
  }
  if (++characters_ < 4) return true;
  for (unsigned i = 0; i + padding_ < 3; ++i) out += static_cast<char>(quantum_ >> (16 - 8 * i) & 0xffU);
  quantum_ = 0;
  characters_ = padding_ = 0;
  return true;
}

bool GrpcWeb::decode(stream::Buffer& data, bool end) {
  if (!text_request_) return true;
  std::string out;
  for (const stream::Slice& slice : data.slices()) {
    for (const char c : slice.view()) {
      if (!take_character(c, out)) return false;
    }
  }
  data = stream::Buffer();
  data.append_copy(out);
  return !end || characters_ == 0;
}

void GrpcWeb::translate_head(http::ResponseHead& head) {
  const std::string_view type = head.headers.get(HeaderId::kContentType).value_or("");
  swallows_ = !type.starts_with("application/grpc") && !head.headers.has(HeaderId::kGrpcStatus);
  if (swallows_) head.headers.set(HeaderId::kGrpcStatus, std::to_string(grpc_status_of_http(head.status)));
  head.headers.remove(HeaderId::kContentType);
  head.headers.add_reference(HeaderId::kContentType, text_response_ ? kTextProto : kBinaryProto);
  head.headers.remove(HeaderId::kContentLength);
}

void GrpcWeb::encode_bytes(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    pending_[pending_count_++] = c;
    if (pending_count_ == pending_.size()) flush(out);
  }
}

void GrpcWeb::flush(std::string& out) {
  if (pending_count_ == 0) return;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const char c = i < pending_count_ ? pending_[i] : '\0';
    bits = bits << 8 | static_cast<unsigned char>(c);
  }
  for (std::size_t i = 0; i < 4; ++i) out += i <= pending_count_ ? kAlphabet[bits >> (18 - 6 * i) & 63U] : '=';
  pending_count_ = 0;
}

stream::Buffer GrpcWeb::encode(stream::Buffer data, bool end) {
  taken_ += data.size();
  if (swallows_) return {};
  if (!text_response_) return count(std::move(data));
  std::string out;
  for (const stream::Slice& slice : data.slices()) encode_bytes(slice.view(), out);
  if (end) flush(out);
  stream::Buffer encoded;
  encoded.append_copy(out);
  return count(std::move(encoded));
}

stream::Buffer GrpcWeb::encode_trailers(const http::HeaderMap& trailers) {
  if (swallows_) return {};
  std::string fields;
  for (const http::Header& field : trailers.fields()) {
    fields += field.name;
    fields += ':';
    fields += field.value;
    fields += "\r\n";
  }
  std::string frame(1, kTrailersFrame);
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(fields.size() >> shift & 0xffU);
  frame += fields;
  stream::Buffer out;
  if (!text_response_) {
    out.append_copy(frame);
    return count(std::move(out));
  }
  std::string text;
  encode_bytes(frame, text);
  flush(text);
  out.append_copy(text);
  return count(std::move(out));
}

stream::Buffer GrpcWeb::count(stream::Buffer encoded) {
  given_ += encoded.size();
  return encoded;
}

// In proportion, never more than was taken, and all of it once everything has gone.
std::size_t GrpcWeb::credit(std::size_t bytes) {
  gone_ += bytes;
  const std::uint64_t due = swallows_ || gone_ >= given_ ? taken_ : gone_ * taken_ / given_;
  const std::uint64_t before = std::exchange(credited_, std::max(credited_, due));
  return static_cast<std::size_t>(credited_ - before);
}

}  // namespace lateen::proxy
