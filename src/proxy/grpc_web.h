// GrpcWeb: a gRPC-Web request as a gRPC request, and its response back (grpc/doc/PROTOCOL-WEB.md; Envoy's grpc_web filter):
// trailers go as a last frame of the body, and in the text form everything is base64. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "stream/buffer.h"

namespace lateen::proxy {

class GrpcWeb {
 public:
  // Makes a gRPC request of `head`; null where it is no gRPC-Web request, which is left alone.
  static std::unique_ptr<GrpcWeb> begin(http::RequestHead& head);

  // The body of the request in place; of the text form the whole quanta that have come. `end`: nothing follows. False: it
  // is not base64.
  bool decode(stream::Buffer& data, bool end);

  // The head of a response, as the client can read it. One that is no gRPC becomes an error without a body (Envoy).
  void translate_head(http::ResponseHead& head);
  // More of the response's body; `end` without trailers.
  stream::Buffer encode(stream::Buffer data, bool end);
  // The last frame, with what was not yet encoded before it.
  stream::Buffer encode_trailers(const http::HeaderMap& trailers);
  // How many bytes of what encode() was given have gone on, when the client took `bytes` of what came out.
  std::size_t credit(std::size_t bytes);

 private:
  explicit GrpcWeb(bool text_request, bool text_response) : text_request_(text_request), text_response_(text_response) {}
  bool take_character(char c, std::string& out);
  void encode_bytes(std::string_view bytes, std::string& out);
  void flush(std::string& out);

  stream::Buffer count(stream::Buffer encoded);

  const bool text_request_, text_response_;
  bool swallows_ = false;            // the response is no gRPC: its body goes nowhere
  std::uint64_t taken_ = 0, given_ = 0, gone_ = 0, credited_ = 0;   // bytes of the response: in, out, sent, in terms of in
  std::uint32_t quantum_ = 0;        // of the request: bits of characters that wait for their fourth
  unsigned characters_ = 0, padding_ = 0;
  std::array<char, 3> pending_{};    // of the response: bytes that wait for their third
  std::size_t pending_count_ = 0;
};

}  // namespace lateen::proxy
