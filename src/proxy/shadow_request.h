// Shadows: copies of requests, sent to the mirrors of their route (envoy.config.route.v3.RouteAction.RequestMirrorPolicy).
// Their answers are read and dropped. A shadow shares nothing with its request but the bytes of the body: not its time,
// its outcome, its retries or its limits. It counts in the mirror's cluster like any other request.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/message.h"
#include "net/loop.h"
#include "proxy/upstream_try.h"
#include "proxy/worker_view.h"
#include "stream/buffer.h"

namespace lateen::proxy {

// On one worker, those whose body is still arriving included. One more is dropped.
inline constexpr std::size_t kShadowsMax = 1024;
// A request with a larger body has no shadow.
inline constexpr std::size_t kShadowBodyBytesMax = 1024 * 1024;
// Where the route has no timeout.
inline constexpr Duration kShadowTimeout = std::chrono::minutes(5);

// A request head that owns its bytes.
struct OwnedHead {
  http::RequestHead head;
  std::string method, scheme, authority, path;

  void copy(const http::RequestHead& from);
};

class Shadows;

class Shadow final : private UpstreamTryEvents {
 public:
  explicit Shadow(Shadows& home) : home_(home), try_(*this) {}

  OwnedHead& head() { return head_; }
  // More of the body; false: it is too large, and the shadow is over.
  bool append(stream::Buffer data);
  void set_trailers(const http::HeaderMap& trailers) { trailers_ = trailers.copy(); }
  // The request is whole: it goes out, and its request needs to know it no more.
  void launch();
  // Lets go of everything; it may be used again.
  void end();

 private:
  friend class Shadows;
  void on_upstream_ready() override;
  void on_upstream_informational(http::ResponseHead&) override {}
  void on_upstream_headers(http::ResponseHead& head, stream::End end) override;
  void on_upstream_data(stream::Buffer data, stream::End end) override;
  void on_upstream_trailers(const http::HeaderMap&) override { end(); }
  void on_upstream_sent(std::size_t) override {}
  void on_upstream_host_left() override { end(); }
  bool may_go_elsewhere() const override { return false; }
  void on_upstream_reset(stream::ResetReason reason, bool bytes_sent, std::string_view detail) override;
  void on_timeout();

  Shadows& home_;
  UpstreamTry try_;
  OwnedHead head_;
  stream::Buffer body_;
  std::optional<http::HeaderMap> trailers_;
  std::shared_ptr<const runtime::Cluster> policy_;
  WorkerCluster* cluster_ = nullptr;
  Duration timeout_{};
  net::Timer timer_;
  bool used_ = false;
};

class Shadows {
 public:
  // `loop` must outlive this object.
  explicit Shadows(net::Loop& loop) : loop_(loop) {}
  // Cuts those in flight, before the clusters go.
  ~Shadows() { end_all(); }
  void end_all();

  // A shadow to be filled and sent, for the cluster `id` of `view`; null: there is no such cluster, or too many are in
  // flight. `timeout` runs from launch(); zero: kShadowTimeout.
  Shadow* make(WorkerView& view, runtime::ClusterId id, Duration timeout);
  std::size_t in_flight() const { return all_.size() - spare_.size(); }
  net::Loop& loop() { return loop_; }

 private:
  friend class Shadow;
  net::Loop& loop_;
  std::vector<std::unique_ptr<Shadow>> all_;    // never more than kShadowsMax; kept for use again
  std::vector<Shadow*> spare_;
};

}  // namespace lateen::proxy
