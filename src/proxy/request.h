// Request: carries out what a RequestMachine decides, for one request on one worker. The only place where the machine
// meets streams, pools and the timer.
//
// Owned by its Worker, which uses finished ones again. It lives from begin() until the client's stream has ended; what is
// then left upstream is let go of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "proxy/metrics.h"
#include "proxy/request_body.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"
#include "proxy/upstream_try.h"
#include "proxy/worker_view.h"
#include "stream/stream.h"

namespace lateen::proxy {

class AccessLogFormat;
class RequestHome;
class Request;

// Told when a request no longer uses its origin.
class RequestOwner {
 public:
  virtual ~RequestOwner() = default;
  virtual void on_request_over(Request& request) = 0;
};

// What a connection says about its requests. Pointers and texts live as long as the connection has a request.
struct RequestOrigin {
  RequestOwner* owner = nullptr;
  WorkerView* view = nullptr;
  bool outbound = true;
  const runtime::HttpConnectionSettings* settings = nullptr;
  std::shared_ptr<const runtime::RouteTable> table;
  ConnectionFacts connection;
  std::string_view remote_text, local_text;       // with ports
  // Where the client meant to go, for original-destination clusters. Family kNone: a name that is yet to be resolved.
  const net::Address* destination = nullptr;
  const net::Address* remote = nullptr;           // both ends of the client's connection
  const net::Address* local = nullptr;
  std::string_view server_name;                   // SNI
  ListenerSlot* counters = nullptr;
  const AccessLogFormat* log_format = nullptr;    // null: not logged
};

class Request final : public stream::ServerStreamHandler, private UpstreamTryEvents {
 public:
  // `home` must outlive this object.
  explicit Request(RequestHome& home) : home_(home), try_(*this) {}

  // `server` must live until its last call.
  void begin(stream::ServerStream& server, stream::End end, RequestOrigin origin);
  // Lets go of everything, without a word to the client (the connection is being destroyed).
  void abandon();

  const RequestMachine& machine() const { return machine_; }
  std::size_t body_bytes_held() const { return body_.bytes_held(); }

  void on_data(stream::Buffer data, stream::End end) override;
  void on_trailers(http::HeaderMap trailers) override;
  void on_reset(stream::ResetReason reason) override;
  void on_sent(std::size_t bytes) override;
  void on_complete() override;

 private:
  void on_upstream_ready() override;
  void on_upstream_informational(http::ResponseHead& head) override;
  void on_upstream_headers(http::ResponseHead& head, stream::End end) override;
  void on_upstream_data(stream::Buffer data, stream::End end) override;
  void on_upstream_trailers(const http::HeaderMap& trailers) override;
  void on_upstream_sent(std::size_t bytes) override;
  void on_upstream_host_left() override;
  void on_upstream_reset(stream::ResetReason reason, bool bytes_sent, std::string_view detail) override;

  void run();                          // carries out what the machine wants, until it wants nothing
  void carry_out(const Action& action);
  void start_try();
  void start_original_destination();
  void start_dynamic_forward();
  void start_resolved(const std::string& name, std::uint16_t port, bool dynamic);
  void start_on(WorkerHost* retained);
  void send_request();
  void send_body();                    // what has arrived and not been sent
  void end_try();
  void report(const Action& action);
  void reply();
  void count_retry();
  void rearm();
  void on_timer();
  void finish();                       // the client's stream is over: tell the observers
  void recycle();
  void count_response() const;
  RequestRecord record() const;

  RequestHome& home_;
  RequestMachine machine_;
  RequestBody body_;
  UpstreamTry try_;
  RequestOrigin origin_;
  stream::ServerStream* server_ = nullptr;   // null: idle, or the client has gone
  WorkerCluster* cluster_ = nullptr;
  std::vector<HostPin> tried_;               // hosts of earlier tries, where the policy avoids them
  http::ResponseHead* response_ = nullptr;   // set while on_upstream_headers runs
  stream::End response_end_ = stream::End::kNo;
  http::ResponseHead reply_head_;
  std::string upstream_text_;
  net::Timer timer_;
  Time timer_at_ = Deadlines::kNever;        // the moment for which the timer is armed
  Time started_{};
  std::uint64_t bytes_received_ = 0, bytes_sent_ = 0;
  bool head_sent_ = false;                   // of the current try
  bool end_sent_ = false;                    // of the current try
  bool upstream_ended_ = false;              // the current try needs no reset
  std::uint64_t turn_ = 0;                   // of the try: answers to earlier ones come too late
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  bool running_ = false;
  bool finished_ = false;
  bool retry_counted_ = false;               // among the active ones
  std::uint32_t retries_counted_ = 0;
};

// Where requests live: kept for use again, told of their ends. Implemented by the worker.
class RequestHome {
 public:
  virtual ~RequestHome() = default;
  virtual net::Loop& loop() = 0;
  virtual Random& random() = 0;
  virtual std::string_view date() = 0;        // of now, as in the Date field
  // Whether a connection to `address` would come back to this process.
  virtual bool listens_at(const net::Address& address) const = 0;
  // An address of a name outside the mesh; its port is 0. `done` is called later.
  virtual void find_address(const std::string& name, std::function<void(Result<net::Address>)> done) = 0;
  virtual void on_request_end(const RequestRecord& record, const RequestOrigin& origin) = 0;
  virtual void give_back(Request& request) = 0;
};

}  // namespace lateen::proxy
