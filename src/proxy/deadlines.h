// Deadlines: the moments at which one request wants to be woken. The request machine sets them, its shell arms one timer
// for the earliest; so the machine needs no clock and no timer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace lateen::proxy {

// In the order in which they are obeyed when several are due at once.
enum class DeadlineKind : std::uint8_t {
  kDuration,   // the longest that the stream may last
  kRoute,      // the route's timeout
  kTry,        // the per-try timeout
  kTryDuration,  // the longest that a try may last
  kReceive,    // the whole request must have arrived
  kIdle,       // nothing moved on the stream
  kDelay,      // the injected delay is over
  kBackOff,    // the next try begins
};

class Deadlines {
 public:
  static constexpr Time kNever = Time::max();

  void set(DeadlineKind kind, Time at) {
    at_[index(kind)] = at;
    if (at < earliest_) earliest_ = at;
    else recompute();
  }
  void clear(DeadlineKind kind) {
    if (at_[index(kind)] == kNever) return;
    at_[index(kind)] = kNever;
    recompute();
  }
  void clear_all() {
    at_.fill(kNever);
    earliest_ = kNever;
  }
  bool is_set(DeadlineKind kind) const { return at_[index(kind)] != kNever; }
  Time at(DeadlineKind kind) const { return at_[index(kind)]; }
  Time earliest() const { return earliest_; }
  // The first kind that is due; it is cleared.
  std::optional<DeadlineKind> take_due(Time now) {
    if (now < earliest_) return std::nullopt;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (at_[i] > now) continue;
      at_[i] = kNever;
      recompute();
      return static_cast<DeadlineKind>(i);
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kKinds = 8;
  static std::size_t index(DeadlineKind kind) { return static_cast<std::size_t>(kind); }
  void recompute() {
    earliest_ = kNever;
    for (const Time at : at_) earliest_ = at < earliest_ ? at : earliest_;
  }

  std::array<Time, kKinds> at_{kNever, kNever, kNever, kNever, kNever, kNever, kNever, kNever};
  Time earliest_ = kNever;
};

}  // namespace lateen::proxy
