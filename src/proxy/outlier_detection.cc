#include "proxy/outlier_detection.h"

#include <algorithm>

namespace lateen::proxy {
namespace {

constexpr std::uint16_t kStatusOfConnectFailure = 503;   // Envoy's resultToHttpCode, where errors are not counted apart
constexpr std::uint16_t kStatusOfTimeout = 504;

bool is_gateway_error(std::uint16_t status) { return status >= 502 && status <= 504; }

bool is_error(const runtime::OutlierDetection& policy, std::uint16_t status) {
  if (policy.error_codes.empty()) return status >= 500 && status <= 599;
  return std::find(policy.error_codes.begin(), policy.error_codes.end(), status) != policy.error_codes.end();
}

// Writes only when there is something to clear.
void clear(std::atomic<std::uint32_t>& counter) {
  if (counter.load(std::memory_order_relaxed) != 0) counter.store(0, std::memory_order_relaxed);
}

// The error that makes the counter equal to the threshold is the one that detects; 0 switches the detector off.
bool reaches(std::atomic<std::uint32_t>& counter, std::uint32_t threshold) {
  return counter.fetch_add(1, std::memory_order_relaxed) + 1 == threshold && threshold != 0;
}

Duration ejection_time(const runtime::OutlierDetection& policy, std::uint32_t multiplier) {
  return std::min(policy.base_ejection_time * multiplier, std::max(policy.max_ejection_time, policy.base_ejection_time));
}

}  // namespace

bool OutlierDetector::report(const Host& host, const runtime::OutlierDetection& policy, TryResult result,
                             std::uint16_t status, Time now, Random& random) {
  switch (result) {
    case TryResult::kLocalConnectSuccess:
      clear(consecutive(host, Detector::kLocalOriginFailure));
      return false;
    case TryResult::kLocalConnectFailure:
    case TryResult::kLocalTimeout:
      if (policy.split_external_local_origin_errors) {
        if (!reaches(consecutive(host, Detector::kLocalOriginFailure), policy.consecutive_local_origin_failure)) return false;
        return on_threshold(host, policy, Detector::kLocalOriginFailure, now, random);
      }
      return on_error_status(host, policy,
                             result == TryResult::kLocalTimeout ? kStatusOfTimeout : kStatusOfConnectFailure, now, random);
    case TryResult::kStatus:
      break;
  }
  if (is_error(policy, status)) return on_error_status(host, policy, status, now, random);
  clear(consecutive(host, Detector::kConsecutive5xx));
  clear(consecutive(host, Detector::kGatewayFailure));
  return false;
}

bool OutlierDetector::on_error_status(const Host& host, const runtime::OutlierDetection& policy, std::uint16_t status,
                                      Time now, Random& random) {
  bool ejected = false;
  if (!is_gateway_error(status)) {
    clear(consecutive(host, Detector::kGatewayFailure));
  } else if (reaches(consecutive(host, Detector::kGatewayFailure), policy.consecutive_gateway_failure)) {
    ejected = on_threshold(host, policy, Detector::kGatewayFailure, now, random);
  }
  if (reaches(consecutive(host, Detector::kConsecutive5xx), policy.consecutive_5xx)) {
    ejected = on_threshold(host, policy, Detector::kConsecutive5xx, now, random) || ejected;
  }
  return ejected;
}

bool OutlierDetector::on_threshold(const Host& host, const runtime::OutlierDetection& policy, Detector detector, Time now,
                                   Random& random) {
  struct Kind {
    std::uint32_t enforcing;
    std::uint64_t OutlierCounters::*detected;
    std::uint64_t OutlierCounters::*enforced;
  };
  using C = OutlierCounters;
  const Kind kinds[] = {
      {policy.enforcing_consecutive_5xx, &C::ejections_detected_consecutive_5xx, &C::ejections_enforced_consecutive_5xx},
      {policy.enforcing_consecutive_gateway_failure, &C::ejections_detected_consecutive_gateway_failure,
       &C::ejections_enforced_consecutive_gateway_failure},
      {policy.enforcing_consecutive_local_origin_failure, &C::ejections_detected_consecutive_local_origin_failure,
       &C::ejections_enforced_consecutive_local_origin_failure},
  };
  const Kind& kind = kinds[static_cast<std::size_t>(detector)];

  const std::lock_guard hold(lock_);
  const auto record = records_.find(&host);
  // Removed meanwhile, or ejected by another worker's error: those in flight do not count a second time.
  if (record == records_.end() || host.ejected()) return false;
  // Counting begins anew whether or not the ejection is carried out, as in Envoy.
  consecutive(host, detector).store(0, std::memory_order_relaxed);
  ++(counters_.*kind.detected);
  if (random.below(100) >= kind.enforcing) return false;
  if (!may_eject(policy)) {
    ++counters_.ejections_overflow;
    return false;
  }
  ++(counters_.*kind.enforced);
  ++counters_.ejections_total;
  ++counters_.ejections_active;
  Record& state = record->second;
  state.ejected_at = now;
  ++state.ejections;
  // The multiplier stops growing once it can no longer matter.
  if (policy.base_ejection_time * state.multiplier < policy.max_ejection_time + policy.base_ejection_time) ++state.multiplier;
  host.ejected_.store(true, std::memory_order_release);
  return true;
}

// Envoy: the share with this host included must not exceed the limit; one host may go where always_eject_one_host says.
bool OutlierDetector::may_eject(const runtime::OutlierDetection& policy) const {
  if (policy.always_eject_one_host && counters_.ejections_active == 0) return true;
  const std::uint64_t percent_max = std::min<std::uint64_t>(100, policy.max_ejection_percent);
  return (counters_.ejections_active + 1) * 100 <= percent_max * records_.size();
}

bool OutlierDetector::on_interval(const runtime::OutlierDetection& policy, Time now) {
  const std::lock_guard hold(lock_);
  bool any = false;
  for (auto& [host, record] : records_) {
    if (!host->ejected()) {
      if (record.multiplier > 0) --record.multiplier;
      continue;
    }
    if (now - record.ejected_at < ejection_time(policy, record.multiplier)) continue;
    return_host(*host);
    any = true;
  }
  return any;
}

void OutlierDetector::return_host(const Host& host) {
  consecutive(host, Detector::kConsecutive5xx).store(0, std::memory_order_relaxed);
  consecutive(host, Detector::kGatewayFailure).store(0, std::memory_order_relaxed);
  consecutive(host, Detector::kLocalOriginFailure).store(0, std::memory_order_relaxed);
  host.ejected_.store(false, std::memory_order_release);
  --counters_.ejections_active;
}

void OutlierDetector::add_host(const Host& host) {
  const std::lock_guard hold(lock_);
  records_.try_emplace(&host);
}

void OutlierDetector::remove_host(const Host& host) {
  const std::lock_guard hold(lock_);
  if (records_.erase(&host) != 0 && host.ejected()) return_host(host);
}

bool OutlierDetector::release_all() {
  const std::lock_guard hold(lock_);
  bool any = false;
  for (auto& [host, record] : records_) {
    record.multiplier = 0;
    if (!host->ejected()) continue;
    return_host(*host);
    any = true;
  }
  return any;
}

EjectionStatus OutlierDetector::status(const Host& host, const runtime::OutlierDetection* policy, Time now) const {
  const std::lock_guard hold(lock_);
  EjectionStatus status{.ejected = host.ejected()};
  const auto record = records_.find(&host);
  if (record == records_.end()) return status;
  status.ejections = record->second.ejections;
  if (status.ejected && policy != nullptr) {
    const Duration left = record->second.ejected_at + ejection_time(*policy, record->second.multiplier) - now;
    status.left = std::max(left, Duration::zero());
  }
  return status;
}

OutlierCounters OutlierDetector::counters() const {
  const std::lock_guard hold(lock_);
  return counters_;
}

std::size_t OutlierDetector::hosts_ejected() const {
  const std::lock_guard hold(lock_);
  return counters_.ejections_active;
}

}  // namespace lateen::proxy
