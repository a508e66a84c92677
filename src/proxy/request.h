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

#include "net/dns.h"
#include "net/loop.h"
#include "proxy/grpc_web.h"
#include "proxy/metrics.h"
#include "proxy/request_body.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"
#include "proxy/shadow_request.h"
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

class Request final : public stream::ServerStreamHandler {
 public:
  // `home` must outlive this object.
  explicit Request(RequestHome& home) : home_(home), first_lane_(*this) {}

  // Asks for what begin() is going to need to know of the route; may be left out.
  void look_ahead(const runtime::RouteTable* table, std::string_view authority) { machine_.ahead().begin(table, authority); }
  // `server` must live until its last call.
  void begin(stream::ServerStream& server, stream::End end, RequestOrigin origin);
  // The view has adopted another snapshot.
  void on_adopted(const WorkerView& view) {
    if (server_ != nullptr && origin_.view == &view) machine_.on_table_replaced();
  }
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
  // One upstream try and what is noted about it. With hedging there are several: the current one, and late ones.
  struct Lane final : UpstreamTryEvents {
    explicit Lane(Request& request) : owner(request), upstream(*this) {}
    void on_upstream_ready() override { owner.on_ready(); }
    void on_upstream_informational(http::ResponseHead& head) override { owner.on_informational(*this, head); }
    void on_upstream_headers(http::ResponseHead& head, stream::End end) override { owner.on_headers(*this, head, end); }
    void on_upstream_data(stream::Buffer data, stream::End end) override { owner.on_response_data(std::move(data), end); }
    void on_upstream_trailers(const http::HeaderMap& trailers) override { owner.on_response_trailers(trailers); }
    void on_upstream_sent(std::size_t bytes) override { owner.on_body_sent(*this, bytes); }
    void on_upstream_host_left() override { owner.on_host_left(); }
    bool may_go_elsewhere() const override { return owner.machine_.may_pick_again(); }
    void on_upstream_reset(stream::ResetReason reason, bool bytes_sent, std::string_view detail) override {
      owner.on_upstream_reset(*this, reason, bytes_sent, detail);
    }

    Request& owner;
    UpstreamTry upstream;
    std::uint32_t late = Action::kAllLate;   // its number as a late try; of the current one: none
    bool head_sent = false, end_sent = false;
    bool upstream_ended = false;             // it needs no reset
    bool credits_body = true;                // what it sends returns credit to the client
  };

  void on_ready();
  void on_informational(const Lane& lane, http::ResponseHead& head);
  void on_headers(Lane& lane, http::ResponseHead& head, stream::End end);
  void on_response_data(stream::Buffer data, stream::End end);
  void on_response_trailers(const http::HeaderMap& trailers);
  void on_body_sent(const Lane& lane, std::size_t bytes);
  void on_host_left();
  void on_upstream_reset(Lane& lane, stream::ResetReason reason, bool bytes_sent, std::string_view detail);

  void run();                          // carries out what the machine wants, until it wants nothing
  void carry_out(const Action& action);
  void start_try();
  void start_original_destination();
  void start_dynamic_forward();
  void start_resolved(const std::string& name, std::uint16_t port, bool dynamic);
  void start_on(WorkerHost* retained);
  // The host of the try before the one that begins: with hedging that is under way in a lane of its own.
  WorkerHost* tried_host() const { return lane_before_ == nullptr ? lane_->upstream.host() : lane_before_->upstream.host(); }
  void send_request();
  void send_body();                    // what has arrived and not been sent
  void end_try();
  void end(Lane& lane);
  void hedge(std::uint32_t late);
  void end_late(std::uint32_t late);
  void promote(std::uint32_t late);
  bool resolve_cluster();
  void start_shadows();
  void feed_shadows(const stream::Buffer& data);
  void send_shadows();
  void drop_shadows();
  bool decode_grpc_web(stream::Buffer& data, stream::End end);
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
  Lane first_lane_;                          // the only one of most requests
  Lane* lane_ = &first_lane_;                // of the current try
  const Lane* lane_before_ = nullptr;        // the one that has just become late
  std::vector<std::unique_ptr<Lane>> more_lanes_;
  std::vector<Shadow*> shadows_;             // that wait for the end of the body
  std::unique_ptr<GrpcWeb> grpc_web_;        // null: the request is none
  RequestOrigin origin_;
  stream::ServerStream* server_ = nullptr;   // null: idle, or the client has gone
  WorkerCluster* cluster_ = nullptr;
  std::vector<HostPin> tried_;               // hosts of earlier tries, where the policy avoids them
  http::ResponseHead* response_ = nullptr;   // set while on_upstream_headers runs
  stream::End response_end_ = stream::End::kNo;
  http::ResponseHead reply_head_;
  std::string upstream_local_;               // only where there is a log
  net::Timer timer_;
  Time timer_at_ = Deadlines::kNever;        // the moment for which the timer is armed
  Time started_{};
  std::uint64_t bytes_received_ = 0, bytes_sent_ = 0;
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
  // An address of a name outside the mesh, in that family; its port is 0. `done` is called later.
  virtual void find_address(const std::string& name, net::DnsFamily family, std::function<void(Result<net::Address>)> done) = 0;
  virtual void on_request_end(const RequestRecord& record, const RequestOrigin& origin) = 0;
  virtual void give_back(Request& request) = 0;
  virtual Shadows& shadows() = 0;
};

}  // namespace lateen::proxy
