// RequestBody: the body of one request between the client and the tries. Holds what no try has taken yet, and keeps what
// was taken as long as another try may need it. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "http/headers.h"
#include "stream/buffer.h"
#include "stream/stream.h"

namespace lateen::proxy {

// A body that grows beyond this while a try is under way is no longer kept, and the request is not tried again. The
// client's credit is not returned between tries, so at most kStreamWindowBytes more are held.
inline constexpr std::size_t kRetryBufferBytesMax = 1024 * 1024;

class RequestBody {
 public:
  void begin(bool keep) {
    clear();
    keeping_ = keep;
  }
  void clear() {
    unsent_ = stream::Buffer();
    kept_ = stream::Buffer();
    trailers_.reset();
    ended_ = keeping_ = false;
    received_ = sent_ = credited_ = 0;
  }

  void append(stream::Buffer data, stream::End end) {
    received_ += data.size();
    if (keeping_) kept_.append(data.share());
    unsent_.append(std::move(data));
    ended_ = end == stream::End::kYes;
  }
  void set_trailers(http::HeaderMap trailers) {
    trailers_ = std::move(trailers);
    ended_ = true;
  }
  // A try takes what there is; what comes later is taken later.
  stream::Buffer take() { return std::exchange(unsent_, stream::Buffer()); }
  // The next try begins at the first byte again. Only while kept.
  void rewind() {
    unsent_ = kept_.share();
    sent_ = 0;
  }
  // The transport took `bytes` of this try: how much credit goes back to the client.
  std::size_t on_sent(std::size_t bytes) {
    sent_ += bytes;
    if (sent_ <= credited_) return 0;   // sent again
    return static_cast<std::size_t>(sent_ - std::exchange(credited_, sent_));
  }
  // All that was received and not yet credited: when the rest of the body is dropped.
  std::size_t drop() {
    unsent_ = stream::Buffer();
    stop_keeping();
    return static_cast<std::size_t>(received_ - std::exchange(credited_, received_));
  }
  bool over_bound() const { return keeping_ && kept_.size() > kRetryBufferBytesMax; }
  void stop_keeping() {
    keeping_ = false;
    kept_ = stream::Buffer();
  }

  bool keeping() const { return keeping_; }
  bool ended() const { return ended_; }
  bool has_unsent() const { return !unsent_.empty(); }
  const stream::Buffer& unsent() const { return unsent_; }
  const http::HeaderMap* trailers() const { return trailers_ ? &*trailers_ : nullptr; }
  std::size_t bytes_held() const { return std::max(unsent_.size(), kept_.size()); }

 private:
  stream::Buffer unsent_;
  stream::Buffer kept_;                        // all of it, from the first byte
  std::optional<http::HeaderMap> trailers_;
  std::uint64_t received_ = 0, sent_ = 0, credited_ = 0;
  bool ended_ = false;
  bool keeping_ = false;
};

}  // namespace lateen::proxy
