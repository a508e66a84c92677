// PeakLatency: how long a host takes to answer, as one worker sees it: an exponentially weighted moving average that jumps
// up at once and comes down slowly (Finagle's "peak EWMA"), for Balancer::kPeakEwma.
#pragma once

#include <atomic>
#include <cmath>

#include "base/time.h"

namespace lateen::proxy {

// Written by one worker, read by all; the two fields need not be of the same moment.
class PeakLatency {
 public:
  // After so long without a new answer an old one counts 1/e.
  static constexpr Duration kDecay = std::chrono::seconds(10);

  void observe(Duration took, Time now) {
    const double sample = static_cast<double>(took.count());
    const double known = nanoseconds_.load(std::memory_order_relaxed);
    const double kept = decay(now - at());
    nanoseconds_.store(sample > known * kept ? sample : known * kept + sample * (1 - kept), std::memory_order_relaxed);
    at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // There was no answer within so long: no better than an answer that took as long.
  void observe_unanswered(Duration waited, Time now) {
    if (static_cast<double>(waited.count()) > nanoseconds(now)) observe(waited, now);
  }
  bool known() const { return at_.load(std::memory_order_relaxed) != kNever; }
  // It sinks while nothing is heard, so that a host which was slow once is tried again.
  double nanoseconds(Time now) const {
    return known() ? nanoseconds_.load(std::memory_order_relaxed) * decay(now - at()) : 0;
  }

 private:
  static constexpr Duration::rep kNever = Duration::min().count();

  static double decay(Duration age) {
    return age <= Duration::zero() ? 1 : std::exp(-static_cast<double>(age.count()) / static_cast<double>(kDecay.count()));
  }
  // Before the first answer nothing is known, and nothing of it is kept.
  Time at() const { return known() ? Time(Duration(at_.load(std::memory_order_relaxed))) : Time(); }

  std::atomic<double> nanoseconds_{0};
  std::atomic<Duration::rep> at_{kNever};
};

}  // namespace lateen::proxy
