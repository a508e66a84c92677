// RequestMachine: the life of one request, as events in and actions out.
//
//   start() ──► [kDelaying] ──► kTrying ──► kResponding ──► kDone
//                   │            │   ▲
//                   │            ▼   │ back-off over
//                   │         kBackingOff
//                   └────────► kReplied (local reply) ──► kDone
//
// With hedging a try that is late goes on beside its successor: it is known by a number from then on ("late"), and its
// events are on_late_...(). kWaiting: only late tries are under way. The first good answer wins; it becomes that of the
// current try.
//
// There is no loop, no timer and no socket in here. Who drives it (proxy/request.h, and tests) tells it what happened and
// what the time is, carries out the actions in order, and wakes it at deadline(). It never calls out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "http/message.h"
#include "proxy/cors.h"
#include "proxy/deadlines.h"
#include "proxy/local_reply.h"
#include "proxy/outlier_detection.h"
#include "proxy/random.h"
#include "proxy/request_headers.h"
#include "proxy/retry_state.h"
#include "runtime/decide.h"
#include "runtime/snapshot.h"
#include "stream/stream.h"

namespace lateen::proxy {

struct OwnedHead;

// What the connection knows. Must outlive the request, except what says otherwise.
struct RequestContext {
  const runtime::HttpConnectionSettings* settings = nullptr;
  std::shared_ptr<const runtime::RouteTable> table;   // null: no such route table, everything is 404
  bool grpc_web = false;                              // errors keep their HTTP status (Envoy)
  bool outbound = true;                               // of the listener: adds x-envoy-decorator-operation
  ConnectionFacts connection;
  std::string_view downstream_address;                // "10.0.0.1:4711"
  std::string_view local_address;                     // that the client dialled, with its port
  WallTime wall{};
};

struct Action {
  enum class Kind : std::uint8_t {
    kStartTry,    // pick a host of cluster(), open a stream; answer with on_cluster() and on_try_opened() or on_try_failed()
    kSend,        // the stream stands: send the head, and the body from its first byte
    kEndTry,      // let go of the upstream stream; an unfinished exchange is cut
    kReport,      // tell outlier detection and the host's counters `result` (and `status`) of the current try
    kRespond,     // send the upstream's response head, which is as it must be; its body follows
    kReply,       // send local_reply()
    kCut,         // cut the client's stream: the response can not be completed
    kShadow,      // send shadows() to their mirrors, with the body as it comes
    kHedge,       // the current try goes on as late try `late`; another current one follows
    kEndLate,     // let go of late try `late`, or of all with kAllLate
    kPromote,     // late try `late` becomes the current one; all others are let go of
  };
  static constexpr std::uint32_t kAllLate = 0;
  Kind kind = Kind::kStartTry;
  TryResult result = TryResult::kStatus;
  std::uint16_t status = 0;
  std::uint32_t late = kAllLate;
};

// Why a try never had a stream.
enum class TryFailure : std::uint8_t { kNoCluster, kUnsupportedCluster, kNoHealthyHost, kDropOverload, kNameNotResolved };

class RequestMachine {
 public:
  enum class State : std::uint8_t { kIdle, kDelaying, kTrying, kBackingOff, kWaiting, kResponding, kReplied, kDone };

  // Makes it as new; keeps its memory.
  void reset();

  // ---- events
  // `head` is changed in place and must live as long as the request. `ended`: it has no body.
  void start(RequestContext context, http::RequestHead& head, bool ended, Time now, Random& random);
  // The cluster of this try, before any of the answers to kStartTry but kNoCluster.
  void on_cluster(std::shared_ptr<const runtime::Cluster> policy, Limit& retries);
  void on_try_failed(TryFailure failure);
  // `hostname` of the endpoint; may be empty.
  void on_host_selected(std::string_view hostname = {});
  // The endpoint went away while the try waited for a connection to it: another one is picked, at no cost.
  void on_host_left(Time now, Random& random);
  // Whether it may happen once more. After that it is better to wait for a connection to an endpoint that is leaving.
  bool may_pick_again() const { return picks_lost_ < kPicksLostMax; }
  void on_try_opened(Time now);
  void on_request_data(Time now) { touch(now); }
  void on_request_ended(Time now);
  // More of the body came than is kept for another try.
  void on_body_not_kept() { retry_.forbid(); }
  void on_informational(Time now) { touch(now); }
  // `head` is changed in place if it is to go to the client. `date`: for responses without one.
  void on_response(http::ResponseHead& head, bool ended, std::string_view date, Time now, Random& random);
  void on_response_data(Time now) { touch(now); }
  void on_response_trailers(const http::HeaderMap& trailers);
  void on_response_ended();
  // The local reply has gone out.
  void on_replied() { enter_done(); }
  void on_upstream_reset(stream::ResetReason reason, bool request_bytes_sent, std::string_view detail, Time now,
                         Random& random);
  // The same of late try `late`.
  void on_late_response(std::uint32_t late, http::ResponseHead& head, bool ended, std::string_view date, Time now, Random& random);
  void on_late_reset(std::uint32_t late, stream::ResetReason reason, std::string_view detail);
  // The client's stream is gone. `protocol_error`: it broke the protocol.
  void on_client_gone(bool protocol_error);
  void on_deadline(Time now, Random& random);
  // The request is not what it claims to be: answered with `reply`, or cut where the response has begun.
  void refuse(LocalReply reply);
  // The response took some bytes: the client is alive.
  void on_client_progress(Time now) { touch(now); }

  // ---- actions
  std::optional<Action> next_action();
  // The earliest moment at which on_deadline() wants to be called; Deadlines::kNever.
  Time deadline() const { return deadlines_.earliest(); }

  // For whoever knows the route table before start(): its first steps.
  runtime::Lookahead& ahead() { return ahead_; }
  // Another route table has taken the place of that of the context: a long response is not to keep the old one alive.
  void on_table_replaced();

  // ---- what there is to know
  State state() const { return state_; }
  const runtime::Decision& decision() const { return decision_; }
  // With id kNoCluster: named by the request (Forward::cluster_header), and to be found by its name.
  const runtime::WeightedCluster* cluster() const { return named_ ? &*named_ : decision_.cluster; }
  const std::shared_ptr<const runtime::Cluster>& policy() const { return policy_; }
  // The request's hash, where the route has hash policies and the cluster balances by them. After on_cluster().
  std::optional<std::uint64_t> hash() const { return hash_; }
  // Which of the route's mirrors get a shadow, and their heads; valid from kShadow on.
  const std::vector<const runtime::Mirror*>& shadows() const { return shadows_; }
  // Whether the request is a tunnel whose bytes go to the endpoint as plain TCP.
  bool ends_tunnel() const;
  void write_shadow(const runtime::Mirror& mirror, OwnedHead& out) const;
  Duration route_timeout() const { return route_timeout_; }
  CorsVerdict cors() const { return cors_; }
  const RetryState& retry() const { return retry_; }
  const LocalReply& local_reply() const { return reply_; }
  // Fills the head of the local reply; returns its body. Valid until the machine is reset.
  std::string_view write_local_reply(http::ResponseHead& head, std::string_view date) const;
  bool upgrade() const { return upgraded_; }
  bool request_ended() const { return request_ended_; }
  bool response_started() const { return state_ == State::kResponding || response_started_; }
  // Whether the body must be kept for another try.
  bool keeps_body() const { return !retry_.forbidden(); }
  std::uint16_t status() const { return status_; }
  std::uint32_t flags() const { return flags_; }
  std::string_view details() const { return details_; }
  std::string_view transport_failure() const { return transport_failure_; }
  std::string_view original_path() const { return original_path_; }
  std::uint32_t attempts() const { return record_attempts_; }
  std::uint32_t tries() const { return tries_; }
  Duration upstream_service_time() const { return upstream_service_time_; }
  std::int32_t grpc_status() const { return grpc_status_; }

 private:
  const runtime::HttpConnectionSettings& settings() const { return *context_.settings; }
  const runtime::Forward& forward() const { return *forward_; }

  bool prepare(Random& random);
  Duration timeout_of(const runtime::Forward& forward) const;
  Duration stream_duration_of(const runtime::Forward& forward) const;
  void tell_stream_duration(Duration most);
  void enter_fault(Time now, Random& random);
  void after_delay(Time now, Random& random);
  bool enter_cors(Random& random);
  void enter_route_action(Time now, Random& random);
  void enter_forwarding(const runtime::Forward& forward, Time now, Random& random);
  bool may_upgrade() const;
  void choose_shadows(const runtime::Forward& forward, Random& random);
  void enter_trying(Time now);
  void enter_back_off(RetryAnswer answer, Time now, Random& random);
  void enter_replied(LocalReply reply);
  void enter_done();

  void hash_request(const runtime::Forward& forward);
  void begin_retries(const runtime::Forward& forward);
  void arm_route_timeout(Time from);
  void set_expected_timeout(Time now);
  void finish_response_head(http::ResponseHead& head, std::string_view date, Time now);
  void note_exhaustion(RetryAnswer answer);
  void accept_response(http::ResponseHead& head, bool ended, std::int32_t grpc, std::string_view date, Time now);
  void wait_for_late();
  void drop_late();
  // Whether a server's proxy names the operation in its response.
  bool tells_operation() const {
    return !context_.outbound && settings().names_operations && !operation_named_ && decision_.route != nullptr && !decision_.route->operation.empty();
  }
  // x-envoy-original-path and -host.
  bool keeps_original() const { return !settings().suppresses_envoy_headers; }
  bool hedges() const { return forward_->policy->hedge && forward_->policy->hedge->on_per_try_timeout; }
  void on_route_timeout();
  void on_try_timeout(Time now, Random& random);
  void on_idle();
  void on_stream_duration();
  void on_try_duration(Time now, Random& random);
  void cut_response(std::uint32_t flag, std::string details);
  void touch(Time now);
  void push(Action::Kind kind) { push(Action{.kind = kind}); }
  void push(Action action);
  runtime::HeaderContext header_context(const runtime::RequestView& view) const;
  runtime::RequestView view() const;

  RequestContext context_;
  http::RequestHead* head_ = nullptr;
  State state_ = State::kIdle;
  void hold_virtual_host_only();

  bool table_replaced_ = false;
  std::shared_ptr<const runtime::VirtualHost> virtual_host_;   // of decision_, where the table is no longer pinned
  runtime::Lookahead ahead_;
  runtime::Decision decision_;
  const runtime::Forward* forward_ = nullptr;           // of decision_.route
  std::optional<runtime::WeightedCluster> named_;       // Forward::cluster_header
  std::shared_ptr<const runtime::Cluster> policy_;
  std::vector<const runtime::Mirror*> shadows_;         // of the route, which decision_ keeps
  CorsVerdict cors_ = CorsVerdict::kNone;
  std::string_view cors_origin_;
  RetryState retry_;
  Deadlines deadlines_;
  LocalReply reply_;

  std::optional<std::uint64_t> hash_;
  std::vector<std::string> set_cookies_;                // made for the hash, and owed to the client

  Time started_{};
  std::optional<Time> request_ended_at_;
  Duration idle_timeout_{};
  Duration route_timeout_{};                            // zero: none
  std::optional<Duration> try_timeout_;
  bool request_ended_ = false;
  bool try_opened_ = false;                             // the current try has a stream
  bool response_started_ = false;
  bool upgraded_ = false;
  bool result_in_trailers_ = false;
  bool retry_failed_before_ = false;                    // for "retried and the latest reset reason"
  bool timeout_reported_ = false;                       // of the current try, to outlier detection
  bool operation_named_ = false;                        // by the caller's proxy: the response does not repeat it
  std::uint32_t late_last_ = 0, late_count_ = 0;        // late tries: the last number given, and how many there are
  std::uint32_t tries_ = 0, record_attempts_ = 0, picks_lost_ = 0;

  std::uint16_t status_ = 0;
  std::uint32_t flags_ = 0;
  std::string details_, transport_failure_;
  std::string_view original_path_;                      // as it arrived; the stream keeps those bytes
  std::string path_storage_, rewritten_path_, authority_storage_;
  Duration upstream_service_time_{-1};
  std::int32_t grpc_status_ = -1;

  // Actions wait here until the driver takes them. No event pushes more than six, and the driver takes all of them
  // before the next event.
  static constexpr std::size_t kActionsMax = 8;
  // Endpoints that may go away under one request before it rather waits for a connection to one that leaves.
  static constexpr std::uint32_t kPicksLostMax = 32;
  std::array<Action, kActionsMax> actions_{};
  std::size_t actions_first_ = 0, actions_count_ = 0;
};

}  // namespace lateen::proxy
