// UpstreamTry: one try of a request: its place in a pool's queue, then its stream, with what it takes under the cluster's
// limits. A part of Request, used again for the next try.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/circuit_breaker.h"
#include "proxy/worker_cluster.h"
#include "stream/client_pool.h"
#include "stream/stream.h"

namespace lateen::proxy {

// What becomes of a try. Calls may come from inside UpstreamTry::start().
class UpstreamTryEvents {
 public:
  virtual ~UpstreamTryEvents() = default;
  virtual void on_upstream_ready() = 0;
  virtual void on_upstream_informational(http::ResponseHead& head) = 0;
  virtual void on_upstream_headers(http::ResponseHead& head, stream::End end) = 0;
  virtual void on_upstream_data(stream::Buffer data, stream::End end) = 0;
  virtual void on_upstream_trailers(const http::HeaderMap& trailers) = 0;
  virtual void on_upstream_sent(std::size_t bytes) = 0;
  // The endpoint went away while the try waited for a connection to it.
  virtual void on_upstream_host_left() = 0;
  // Whether it wants to know that. If not, it waits on for its connection.
  virtual bool may_go_elsewhere() const = 0;
  // The try is over. `bytes_sent`: whether a byte of it had left.
  virtual void on_upstream_reset(stream::ResetReason reason, bool bytes_sent, std::string_view detail) = 0;
};

class UpstreamTry final : private stream::ClientStreamHandler, private stream::StreamWaiter {
 public:
  // `events` must outlive this object.
  explicit UpstreamTry(UpstreamTryEvents& events) : events_(events) {}
  ~UpstreamTry() override { end(); }

  // Begins on `host`. The one before must have been ended. `downstream`: of the request.
  void start(HostPin host, http::Version downstream = http::Version::kHttp11, const ConnectionWish& wish = {});
  // The same with a TCP connection of its own instead of an exchange of HTTP (tcp_stream.h).
  void start_tcp(HostPin host, const ConnectionWish& wish);
  // Lets go of everything but the host; an unfinished exchange is cut. No event comes after it.
  void end();
  // Lets go of the host too.
  void forget() {
    end();
    host_.reset();
  }

  stream::ClientStream* stream() { return stream_.get(); }
  WorkerHost* host() const { return host_.get(); }   // of the last try
  const std::string& local_address() const { return local_address_; }

 private:
  void on_stream_ready(std::unique_ptr<stream::ClientStream> stream) override;
  bool leaves_draining_pool() const override { return events_.may_go_elsewhere(); }
  void on_stream_failure(stream::ResetReason reason, std::string_view detail) override;
  void on_informational(http::ResponseHead head) override { events_.on_upstream_informational(head); }
  void on_headers(http::ResponseHead head, stream::End end) override {
    if (measured_from_) note_latency();
    events_.on_upstream_headers(head, end);
  }
  void on_data(stream::Buffer data, stream::End end) override { events_.on_upstream_data(std::move(data), end); }
  void on_trailers(http::HeaderMap trailers) override { events_.on_upstream_trailers(trailers); }
  void on_reset(stream::ResetReason reason, bool bytes_sent, std::string_view detail) override;
  void on_sent(std::size_t bytes) override { events_.on_upstream_sent(bytes); }

  void note_latency();
  void stop_waiting();
  void stop_request();

  UpstreamTryEvents& events_;
  HostPin host_;
  std::unique_ptr<stream::PendingStream> place_;
  std::unique_ptr<stream::ClientStream> stream_;
  Permit pending_permit_, request_permit_;
  bool waiting_ = false;         // counted as pending
  bool counted_ = false;         // counted as an active request
  std::optional<Time> measured_from_;   // set until the answer has come, where the balancer goes by latency
  std::string local_address_;
};

}  // namespace lateen::proxy
