// OutlierDetector: the passive health of one cluster's hosts, by Envoy's rules (envoy.config.cluster.v3.OutlierDetection)
// for consecutive errors. Pure: time and randomness are arguments.
//
// Results come from every worker. Only an error touches shared memory; only the error that reaches a threshold takes the
// lock, and the ejection is decided there and then: the next pick of any worker sees it. Hosts return on interval ticks,
// which the control thread gives.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "proxy/host.h"
#include "proxy/random.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// How one try ended, as outlier detection sees it.
enum class TryResult : std::uint8_t {
  kStatus,                // the upstream answered; the status says what
  kLocalConnectFailure,   // refused, reset or cut off before an answer
  kLocalTimeout,          // our timeout ended it
  kLocalConnectSuccess,   // a connection stood; clears local-origin errors where they are counted apart
};

struct OutlierCounters {
  std::uint64_t ejections_total = 0, ejections_active = 0, ejections_overflow = 0;
  std::uint64_t ejections_detected_consecutive_5xx = 0, ejections_enforced_consecutive_5xx = 0;
  std::uint64_t ejections_detected_consecutive_gateway_failure = 0, ejections_enforced_consecutive_gateway_failure = 0;
  std::uint64_t ejections_detected_consecutive_local_origin_failure = 0;
  std::uint64_t ejections_enforced_consecutive_local_origin_failure = 0;
};

struct EjectionStatus {
  bool ejected = false;
  Duration left{};             // until the time is over; the host returns on the tick after it
  std::uint32_t ejections = 0;
};

class OutlierDetector {
 public:
  // Takes account of one result under `policy`. True if the host was ejected by it.
  bool report(const Host& host, const runtime::OutlierDetection& policy, TryResult result, std::uint16_t status, Time now,
              Random& random);

  // The interval of `policy` is over: returns hosts whose time is up, and lets the multiplier of hosts that stayed
  // healthy sink. True if a host came back.
  bool on_interval(const runtime::OutlierDetection& policy, Time now);

  // Hosts come and go with the endpoints. An ejected host that is removed counts no longer.
  void add_host(const Host& host);
  void remove_host(const Host& host);
  // Detection was switched off: every host returns. True if there was one.
  bool release_all();

  EjectionStatus status(const Host& host, const runtime::OutlierDetection* policy, Time now) const;
  OutlierCounters counters() const;
  std::size_t hosts_ejected() const;

 private:
  enum class Detector : std::uint8_t { kConsecutive5xx, kGatewayFailure, kLocalOriginFailure };
  static std::atomic<std::uint32_t>& consecutive(const Host& host, Detector detector) {
    return host.consecutive_[static_cast<std::size_t>(detector)];
  }
  struct Record {
    Time ejected_at{};
    std::uint32_t multiplier = 0;   // the next ejection lasts base x multiplier
    std::uint32_t ejections = 0;
  };

  bool on_error_status(const Host& host, const runtime::OutlierDetection& policy, std::uint16_t status, Time now,
                       Random& random);
  bool on_threshold(const Host& host, const runtime::OutlierDetection& policy, Detector detector, Time now, Random& random);
  bool may_eject(const runtime::OutlierDetection& policy) const;
  void return_host(const Host& host);

  mutable std::mutex lock_;
  std::unordered_map<const Host*, Record> records_;   // one for each host of the set
  OutlierCounters counters_;
};

}  // namespace lateen::proxy
