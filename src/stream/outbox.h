// Outbox: what one connection still has to write, and how much of it is body.
//
// Nothing is written when it is put in: the connection flushes after the current event, so that a head and the data behind
// it leave in one gathered write.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_writer.h"
#include "net/loop.h"
#include "stream/buffer.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

class Outbox {
 public:
  enum class Flush : std::uint8_t { kEmpty, kBlocked, kFailed };

  // A request's or a response's head.
  template <class Head>
  void put_head(const Head& head, const http::OutgoingFraming& framing) {
    const std::size_t bytes_max = http::head_bytes_max(head);
    if (bytes_max <= kSlabBytes) {
      SlabArena& arena = SlabArena::for_copies();
      char* begin = arena.reserve(bytes_max).data();
      const char* end = http::write_head(begin, head, framing);
      put(arena.commit(static_cast<std::size_t>(end - begin)), false);
    } else {
      std::string text;
      http::append_head(text, head, framing);
      put_framing(text);
    }
  }
  void put_framing(std::string_view bytes);          // copied
  void put_static(std::string_view bytes);           // static text
  void put_body(Buffer body);

  // Writes once, or until the socket is full. `body_bytes` is set to how many bytes of bodies were taken.
  Flush flush(net::Socket& socket, std::size_t& body_bytes);

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }
  void clear();

 private:
  // Adjacent bytes of one kind; the whole is in the order of bytes_.
  struct Run {
    std::size_t bytes;
    bool is_body;
  };
  void put(Slice slice, bool is_body);
  void count(std::size_t bytes, bool is_body);
  std::size_t take(std::size_t bytes);

  Buffer bytes_;
  std::vector<Run> runs_;
};

}  // namespace lateen::stream
