// SocketRelay: moves bytes both ways between two sockets, at most one slab in memory a direction.
#pragma once

#include <cstdint>

#include "net/loop.h"
#include "stream/buffer.h"

namespace lateen::proxy {

// One direction. The sockets must outlive it.
class RelayDirection {
 public:
  // Rounds of read and write before others get their turn.
  static constexpr int kRoundsMax = 16;
  enum class Progress : std::uint8_t {
    kWaiting,   // for an event of either socket
    kMore,      // took its share; call again soon
    kEnded,     // the end was read and handed on
    kFailed,    // a socket died
  };

  RelayDirection() = default;
  RelayDirection(const RelayDirection&) = delete;
  RelayDirection& operator=(const RelayDirection&) = delete;
  ~RelayDirection();

  Progress pump(net::Socket& from, net::Socket& to);
  std::uint64_t bytes() const { return bytes_; }   // read so far
  bool ended() const { return handed_end_on_; }
  // Whether bytes have been read that are not written yet.
  bool holding() const { return first_ < last_; }

 private:
  stream::Slab* slab_ = nullptr;     // only while it holds bytes
  std::size_t first_ = 0, last_ = 0;
  std::uint64_t bytes_ = 0;
  bool end_seen_ = false, handed_end_on_ = false;
};

}  // namespace lateen::proxy
