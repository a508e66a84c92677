// Chunked transfer coding (RFC 9112, section 7.1): a decoder that hands out views into its input, and the few bytes that
// an encoder puts around each chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/headers.h"

namespace lateen::http {

// States, in the order they occur:
//
//   kSize --";"--> kExtension     kSize, kExtension --CR LF, n>0--> kData --n bytes--> kDataCr --CR LF--> kSize
//                                 kSize, kExtension --CR LF, n=0--> kTrailer --empty line--> kDone
//
// Extensions are read and dropped; trailers are kept, under the same rules as header fields.
class ChunkedDecoder {
 public:
  enum class Event : std::uint8_t {
    kNeedMore,  // all of the input was used
    kData,      // `data` is body; call again with the rest of the input
    kDone,      // the last byte used ended the body; the rest of the input is not part of this message
    kRefused,
  };
  struct Step {
    Event event = Event::kNeedMore;
    std::size_t used = 0;    // bytes of the input, `data` included
    std::string_view data;   // into the input
  };

  // Goes on with the next bytes of the body. Not to be called again after kDone or kRefused.
  Step next(std::string_view input);

  bool done() const { return state_ == State::kDone; }
  // Bytes that the current chunk still has; 0 between chunks. Lets the caller read straight into place.
  std::uint64_t chunk_bytes_left() const { return state_ == State::kData ? left_ : 0; }
  // After kDone: in the map's own arena; may be moved from.
  HeaderMap& trailers() { return trailers_; }
  const Refusal& refusal() const { return refusal_; }
  // For the next body; keeps what was allocated.
  void reset();

 private:
  enum class State : std::uint8_t {
    kSize, kSizeSpace, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf, kDone, kRefused,
  };

  bool on_byte(char byte);
  bool on_size(char byte);
  bool on_extension(char byte);
  bool on_trailer_byte(char byte);
  bool on_trailer_line();
  bool refuse(std::uint16_t status, std::string_view detail);

  State state_ = State::kSize;
  std::uint8_t digits_ = 0;
  bool names_extension_ = false;        // a byte of the extension's name has been read
  std::uint64_t left_ = 0;              // of the size being read, then of the chunk
  std::size_t extension_bytes_ = 0;     // of the whole body
  std::size_t trailer_bytes_ = 0;
  std::string line_;                    // unfinished trailer line
  HeaderMap trailers_;
  Refusal refusal_;
};

// "1f40\r\n" for a chunk of `bytes` > 0. Returns how many bytes were written to `out`, at most kChunkHeadBytesMax.
inline constexpr std::size_t kChunkHeadBytesMax = 18;
std::size_t write_chunk_head(char* out, std::uint64_t bytes);

inline constexpr std::string_view kChunkEnd = "\r\n";           // behind the data of each chunk
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";     // without trailers

// The last chunk with trailers. Fields that may not stand in trailers are left out. `out` must have
// last_chunk_bytes_max() bytes; returns how many were written.
std::size_t last_chunk_bytes_max(const HeaderMap& trailers);
std::size_t write_last_chunk(char* out, const HeaderMap& trailers);

// Whether a field of that name may stand in trailers (RFC 9110, section 6.5.1: none that frames, routes or
// authenticates the message).
bool allowed_in_trailers(HeaderId id);

}  // namespace lateen::http
