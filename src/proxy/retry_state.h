// RetryState: whether one request may be tried again, and when. Envoy's retry_on words and its jittered back-off; pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "http/message.h"
#include "proxy/circuit_breaker.h"
#include "proxy/random.h"
#include "runtime/snapshot.h"
#include "stream/stream.h"

namespace lateen::proxy {

enum class RetryAnswer : std::uint8_t {
  kNo,         // the policy does not ask for a retry
  kYes,        // wait next_back_off(), then try again
  kAtOnce,     // provably not processed: tried again without waiting, once, whatever the policy says
  kExhausted,  // the policy asks, but the tries are used up (URX)
  kOverflow,   // the cluster's limit of concurrent retries is reached (UO)
};

class RetryState {
 public:
  // `policy` null: only what is provably unprocessed is tried again. It must outlive the request.
  void begin(const runtime::RetryPolicy* policy);
  // The same for `request`, which the policy may not be for (RetryPolicy::retriable_request_headers).
  void begin(const runtime::RetryPolicy* policy, const runtime::RequestView& request);
  // The limit of concurrent retries, once the cluster is known. It must outlive this object.
  void set_limit(Limit* limit) { limit_ = limit; }
  // The request can not be sent again: its body was not kept, or the response has begun.
  void forbid() { forbidden_ = true; }
  bool forbidden() const { return forbidden_; }

  RetryAnswer on_response(const http::ResponseHead& head);
  // `request_bytes_sent`: whether a byte of this try had left.
  RetryAnswer on_reset(stream::ResetReason reason, bool request_bytes_sent);
  RetryAnswer on_try_timeout();
  // The try is late, and another one is to run beside it: asked for whatever the words say (Envoy).
  RetryAnswer on_late_try() { return answer(policy_ != nullptr); }
  // Whether the policy finds that response worth another try; changes nothing.
  bool would_retry(const http::ResponseHead& head) const { return policy_ != nullptr && wants_retry(head); }

  // The wait before the next try: uniform in [0, base x 2^n), capped at the policy's maximum.
  Duration next_back_off(Random& random);
  std::uint32_t retries() const { return retries_; }
  // Counts under the limit of retries from the decision until the next answer or the end.
  bool active() const { return active_; }
  // Whether a retry was refused because the limit of retries was reached.
  bool overflowed() const { return overflowed_; }
  void end();
  bool avoids_previous_hosts() const { return policy_ != nullptr && policy_->avoid_previous_hosts; }
  // Draws of a host for a retry: the first and Envoy's host_selection_retry_max_attempts, where hosts are to be avoided.
  std::uint32_t host_selection_attempts() const { return avoids_previous_hosts() ? 1 + policy_->host_selection_attempts_max : 1; }
  // Every so many retries, the priorities that were tried so far are left out; 0: never.
  std::uint32_t previous_priorities_update() const { return policy_ == nullptr ? 0 : policy_->previous_priorities_update; }

 private:
  bool wants_retry(const http::ResponseHead& head) const;
  bool wants_retry(stream::ResetReason reason, bool request_bytes_sent) const;
  bool wants_grpc_retry(const http::ResponseHead& head) const;
  RetryAnswer answer(bool wanted);
  RetryAnswer take_permit(RetryAnswer granted);

  const runtime::RetryPolicy* policy_ = nullptr;
  Limit* limit_ = nullptr;
  Permit permit_;
  std::uint32_t retries_ = 0;        // granted so far
  std::uint32_t retries_left_ = 0;   // of the policy
  Duration back_off_{};
  bool retried_at_once_ = false;
  bool forbidden_ = false;
  bool active_ = false;
  bool overflowed_ = false;
};

}  // namespace lateen::proxy
