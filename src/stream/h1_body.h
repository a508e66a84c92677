// The bodies of HTTP/1 messages: BodyReader takes one out of what a connection has read, BodyWriter puts one into what it
// writes. The same for requests and responses; no socket, no timer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/chunked.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "stream/buffer.h"
#include "stream/outbox.h"
#include "stream/stream.h"

namespace lateen::stream {

//   kBody --last byte, last chunk--> kDone      kBody --bad chunk--> kRefused
//   kRaw  --end of the connection--> kDone      (until close, and tunnels)
class BodyReader {
 public:
  enum class State : std::uint8_t { kBody, kRaw, kDone, kRefused };

  void begin(const http::Framing& framing);
  // What follows is the raw stream of another protocol, until the connection ends.
  void begin_raw() { state_ = State::kRaw; }
  // Moves body bytes from the front of `in` to the end of `body` until the body ends; uses at most `bytes_max` of `in`.
  void read(Buffer& in, Buffer& body, std::size_t bytes_max);
  // The connection has ended: a raw body is done, any other is truncated.
  void on_connection_end() {
    if (state_ == State::kRaw) state_ = State::kDone;
  }

  State state() const { return state_; }
  bool done() const { return state_ == State::kDone; }
  // How many bytes of the body are certainly still to come; of chunks and raw streams nobody knows.
  bool length_is_known() const { return !chunked_ && state_ != State::kRaw; }
  std::uint64_t bytes_left() const { return left_; }
  http::HeaderMap& trailers() { return decoder_.trailers(); }
  bool has_trailers() const { return chunked_ && has_trailers_; }
  const http::Refusal& refusal() const { return decoder_.refusal(); }

 private:
  void read_chunks(Buffer& in, Buffer& body, std::size_t bytes_max);

  State state_ = State::kDone;
  bool chunked_ = false;
  bool has_trailers_ = false;
  std::uint64_t left_ = 0;
  http::ChunkedDecoder decoder_;
};

// Frames what the owner of a stream sends. After end() nothing more may be sent.
class BodyWriter {
 public:
  void begin(const http::OutgoingFraming& framing);
  // The rest is raw.
  void begin_raw();
  // False: more than the announced length, or the end before it: the message cannot be completed any more.
  [[nodiscard]] bool data(Outbox& outbox, Buffer data, End end);
  [[nodiscard]] bool trailers(Outbox& outbox, const http::HeaderMap& trailers);

  bool ended() const { return ended_; }
  // The message ends with the connection.
  bool until_close() const { return kind_ == http::BodyKind::kUntilClose || kind_ == http::BodyKind::kTunnel; }

 private:
  bool finish(Outbox& outbox, const http::HeaderMap* trailers);

  http::BodyKind kind_ = http::BodyKind::kNone;
  std::uint64_t left_ = 0;
  bool ended_ = true;
};

}  // namespace lateen::stream
