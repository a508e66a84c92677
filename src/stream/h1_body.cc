#include "stream/h1_body.h"

#include <algorithm>
#include <array>

#include "base/result.h"

namespace lateen::stream {

void BodyReader::begin(const http::Framing& framing) {
  chunked_ = has_trailers_ = false;
  left_ = 0;
  switch (framing.body) {
    case http::BodyKind::kNone:
      state_ = State::kDone;
      return;
    case http::BodyKind::kLength:
      left_ = framing.length;
      state_ = left_ > 0 ? State::kBody : State::kDone;
      return;
    case http::BodyKind::kChunked:
      chunked_ = true;
      decoder_.reset();
      state_ = State::kBody;
      return;
    case http::BodyKind::kUntilClose:
    case http::BodyKind::kTunnel:
      state_ = State::kRaw;
      return;
  }
}

void BodyReader::read(Buffer& in, Buffer& body, std::size_t bytes_max) {
  const std::size_t available = std::min(in.size(), bytes_max);
  if (state_ == State::kRaw) {
    in.move_prefix(available, body);
  } else if (state_ == State::kBody && chunked_) {
    read_chunks(in, body, bytes_max);
  } else if (state_ == State::kBody) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, available));
    in.move_prefix(size, body);
    left_ -= size;
    if (left_ == 0) state_ = State::kDone;
  }
}

void BodyReader::read_chunks(Buffer& in, Buffer& body, std::size_t bytes_max) {
  std::size_t used = 0;
  for (const Slice& slice : in.slices()) {
    std::string_view rest = slice.view().substr(0, bytes_max - used);
    while (!rest.empty() && state_ == State::kBody) {
      const http::ChunkedDecoder::Step step = decoder_.next(rest);
      used += step.used;
      rest.remove_prefix(step.used);
      switch (step.event) {
        case http::ChunkedDecoder::Event::kNeedMore:
          break;
        case http::ChunkedDecoder::Event::kData:
          body.append(slice.part(step.data));
          break;
        case http::ChunkedDecoder::Event::kDone:
          has_trailers_ = !decoder_.trailers().empty();
          state_ = State::kDone;
          break;
        case http::ChunkedDecoder::Event::kRefused:
          state_ = State::kRefused;
          break;
      }
    }
    if (state_ != State::kBody) break;
  }
  in.remove_prefix(used);
}

void BodyWriter::begin(const http::OutgoingFraming& framing) {
  kind_ = framing.body;
  left_ = framing.length;
  ended_ = false;
}

void BodyWriter::begin_raw() {
  kind_ = http::BodyKind::kTunnel;
  ended_ = false;
}

bool BodyWriter::data(Outbox& outbox, Buffer data, End end) {
  LATEEN_CHECK(!ended_);
  switch (kind_) {
    case http::BodyKind::kNone:  // HEAD, 204, 304: what would have been the body goes nowhere
      break;
    case http::BodyKind::kLength:
      if (data.size() > left_) return false;
      left_ -= data.size();
      outbox.put_body(std::move(data));
      break;
    case http::BodyKind::kChunked:
      if (!data.empty()) {
        std::array<char, http::kChunkHeadBytesMax> head;
        outbox.put_framing({head.data(), http::write_chunk_head(head.data(), data.size())});
        outbox.put_body(std::move(data));
        outbox.put_static(http::kChunkEnd);
      }
      break;
    case http::BodyKind::kUntilClose:
    case http::BodyKind::kTunnel:
      outbox.put_body(std::move(data));
      break;
  }
  return end == End::kNo || finish(outbox, nullptr);
}

bool BodyWriter::trailers(Outbox& outbox, const http::HeaderMap& trailers) {
  LATEEN_CHECK(!ended_);
  return finish(outbox, &trailers);
}

bool BodyWriter::finish(Outbox& outbox, const http::HeaderMap* trailers) {
  ended_ = true;
  if (kind_ == http::BodyKind::kLength && left_ > 0) return false;
  if (kind_ != http::BodyKind::kChunked) return true;
  if (trailers == nullptr || trailers->empty()) {
    outbox.put_static(http::kLastChunk);
    return true;
  }
  std::string text(http::last_chunk_bytes_max(*trailers), '\0');
  text.resize(http::write_last_chunk(text.data(), *trailers));
  outbox.put_framing(text);
  return true;
}

}  // namespace lateen::stream
