// Arrival, routing, faults and local replies. What a route does to the request it forwards is in request_forwarding.cc;
// tries and responses are in request_tries.cc.
#include "proxy/request_machine.h"

#include "base/result.h"
#include "proxy/header_mutation.h"
#include "proxy/request_record.h"

namespace lateen::proxy {
namespace {

bool hits(std::uint32_t per_million, Random& random) {
  return random.below(runtime::Fraction::kMillion) < per_million;
}

std::string_view protocol_name(http::Version version) {
  switch (version) {
    case http::Version::kHttp10: return "HTTP/1.0";
    case http::Version::kHttp11: return "HTTP/1.1";
    case http::Version::kHttp2: return "HTTP/2";
  }
  return "HTTP/1.1";
}

constexpr std::uint16_t kTemporaryRedirect = 307;

}  // namespace

void RequestMachine::reset() {
  context_ = RequestContext();
  head_ = nullptr;
  state_ = State::kIdle;
  ahead_.end();
  decision_ = runtime::Decision();
  virtual_host_.reset();
  table_replaced_ = false;
  forward_ = nullptr;
  named_.reset();
  policy_.reset();
  shadows_.clear();
  cors_ = CorsVerdict::kNone;
  cors_origin_ = {};
  retry_.begin(nullptr);
  deadlines_.clear_all();
  if (!reply_.details.empty()) reply_ = LocalReply();
  request_ended_at_.reset();
  idle_timeout_ = route_timeout_ = Duration{};
  try_timeout_.reset();
  request_ended_ = try_opened_ = response_started_ = upgraded_ = result_in_trailers_ = retry_failed_before_ = false;
  timeout_reported_ = operation_named_ = false;
  late_last_ = late_count_ = 0;
  tries_ = record_attempts_ = picks_lost_ = 0;
  status_ = 0;
  flags_ = 0;
  details_.clear();
  transport_failure_.clear();
  original_path_ = {};
  hash_.reset();
  set_cookies_.clear();
  upstream_service_time_ = Duration{-1};
  grpc_status_ = -1;
  actions_first_ = actions_count_ = 0;
}

void RequestMachine::push(Action action) {
  LATEEN_CHECK(actions_count_ < kActionsMax);
  actions_[(actions_first_ + actions_count_++) % kActionsMax] = action;
}

std::optional<Action> RequestMachine::next_action() {
  if (actions_count_ == 0) return std::nullopt;
  const Action action = actions_[actions_first_];
  actions_first_ = (actions_first_ + 1) % kActionsMax;
  --actions_count_;
  return action;
}

runtime::RequestView RequestMachine::view() const {
  return {.method = head_->method,
          .scheme = head_->scheme,
          .authority = head_->authority,
          .path = head_->path,
          .headers = &head_->headers};
}

runtime::HeaderContext RequestMachine::header_context(const runtime::RequestView& view) const {
  runtime::HeaderContext context;
  context.request = &view;
  context.protocol = protocol_name(head_->version);
  context.downstream_remote_address = context_.downstream_address;
  context.start_time = context_.wall;
  if (decision_.route != nullptr) context.route_name = &decision_.route->name;
  return context;
}

void RequestMachine::touch(Time now) {
  if (idle_timeout_ > Duration::zero() && state_ != State::kDone) deadlines_.set(DeadlineKind::kIdle, now + idle_timeout_);
}

void RequestMachine::start(RequestContext context, http::RequestHead& head, bool ended, Time now, Random& random) {
  LATEEN_CHECK(state_ == State::kIdle);
  context_ = std::move(context);
  head_ = &head;
  started_ = now;
  request_ended_ = ended;
  if (ended) request_ended_at_ = now;
  idle_timeout_ = settings().stream_idle_timeout;
  touch(now);
  if (!ended && settings().request_timeout > Duration::zero()) {
    deadlines_.set(DeadlineKind::kReceive, now + settings().request_timeout);
  }
  original_path_ = head.path;
  ahead_.find_route(head.path);
  if (!prepare(random)) return;
  ahead_.find_names();
  if (context_.table == nullptr) return enter_replied(route_not_found());
  decision_ = runtime::decide(*context_.table, view(), random.next(), nullptr, &ahead_);
  switch (decision_.outcome) {
    case runtime::Outcome::kNoVirtualHost:
    case runtime::Outcome::kNoRoute:
      return enter_replied(route_not_found());
    case runtime::Outcome::kForward:
    case runtime::Outcome::kDirectResponse:
    case runtime::Outcome::kRedirect:
    case runtime::Outcome::kUnsupported:
      break;
  }
  // A caller's proxy may have named the operation: that name is for this proxy, not for the service.
  if (!context_.outbound && settings().names_operations && head.headers.has(http::HeaderId::kXEnvoyDecoratorOperation)) {
    operation_named_ = true;
    head.headers.remove(http::HeaderId::kXEnvoyDecoratorOperation);
  }
  if (decision_.virtual_host->require_tls && !context_.connection.tls) {
    LocalReply reply{.status = 301, .details = "direct_response"};
    runtime::Redirect to_https;
    to_https.https_redirect = true;
    reply.location = redirect_location(*decision_.route, to_https, head);
    return enter_replied(std::move(reply));
  }
  if (!may_upgrade()) return enter_replied(upgrade_refused());
  if (const auto* forward = std::get_if<runtime::Forward>(&decision_.route->action); forward != nullptr) {
    if (forward->policy->idle_timeout) {
      idle_timeout_ = *forward->policy->idle_timeout;
      deadlines_.clear(DeadlineKind::kIdle);
      touch(now);
    }
    const Duration most = stream_duration_of(*forward);
    if (most > Duration::zero()) deadlines_.set(DeadlineKind::kDuration, now + most);
    if (forward->policy->grpc_stream_duration_max) tell_stream_duration(most);
  }
  enter_fault(now, random);
}

bool RequestMachine::prepare(Random& random) {
  if (head_->version == http::Version::kHttp10 && !settings().accepts_http_10) {
    enter_replied(http_10_refused());
    return false;
  }
  if (head_->authority.empty() && head_->version == http::Version::kHttp10) {   // HTTP/1.1 without a host is no request at all
    enter_replied(missing_host());
    return false;
  }
  const bool no_path = !head_->path.empty() && head_->path.front() != '/';   // "*"
  if (no_path || (head_->absolute_form && !settings().accepts_absolute_url)) {
    enter_replied(absolute_path_rejected());
    return false;
  }
  switch (prepare_request(*head_, settings(), context_.connection, random, path_storage_)) {
    case Preparation::kReady:
      return true;
    case Preparation::kBadPath:
      enter_replied(bad_path());
      return false;
    case Preparation::kBadName:
      enter_replied(bad_header_name());
      return false;
    case Preparation::kBadScheme:
      enter_replied(bad_scheme());
      return false;
    case Preparation::kRedirect: {
      LocalReply reply{.status = kTemporaryRedirect, .details = "path_normalization_failed"};
      reply.location = path_storage_;
      enter_replied(std::move(reply));
      return false;
    }
  }
  return false;
}

// Delay and abort are drawn apart, the delay first, so a request may have both (observed: 16 of 300 at 50 % and 10 %).
void RequestMachine::enter_fault(Time now, Random& random) {
  const Boxed<runtime::Fault>& fault = decision_.route->fault;
  if (!settings().fault_filter || !fault || !fault->delay || !hits(fault->delay_per_million, random)) {
    return after_delay(now, random);
  }
  state_ = State::kDelaying;
  flags_ |= kDelayInjected;
  deadlines_.set(DeadlineKind::kDelay, now + *fault->delay);
  if (!decision_.route->delay_counts_against_timeout) return;
  const auto* forward = std::get_if<runtime::Forward>(&decision_.route->action);
  const Duration timeout = forward == nullptr ? Duration::zero() : timeout_of(*forward);
  if (timeout > Duration::zero()) deadlines_.set(DeadlineKind::kRoute, now + timeout);
}

void RequestMachine::after_delay(Time now, Random& random) {
  const Boxed<runtime::Fault>& fault = decision_.route->fault;
  const bool aborts = settings().fault_filter && fault && (fault->abort_status || fault->abort_grpc_status) &&
                      hits(fault->abort_per_million, random);
  if (aborts) return enter_replied(fault_abort(fault->abort_status.value_or(200), fault->abort_grpc_status));
  enter_route_action(now, random);
}

// False: answered here. Behind the faults, and only for what is forwarded, as in Envoy.
bool RequestMachine::enter_cors(Random& random) {
  const runtime::Cors* policy = decision_.route->cors ? &*decision_.route->cors : nullptr;
  if (policy == nullptr || !settings().cors_filter) return true;
  cors_ = judge_cors(*policy, *head_, random);
  cors_origin_ = origin_of(*head_);
  if (cors_ != CorsVerdict::kPreflight && cors_ != CorsVerdict::kPreflightRefused) return true;
  enter_replied(cors_answer());
  return false;
}

void RequestMachine::enter_route_action(Time now, Random& random) {
  const runtime::Route& route = *decision_.route;
  if (const auto* forward = std::get_if<runtime::Forward>(&route.action)) {
    return enter_cors(random) ? enter_forwarding(*forward, now, random) : void();
  }
  LocalReply reply{.details = "direct_response"};
  if (const auto* direct = std::get_if<runtime::DirectResponse>(&route.action)) {
    reply.status = direct->status;
    reply.body = direct->body;
  } else if (const auto* redirect = std::get_if<runtime::Redirect>(&route.action)) {
    reply.status = redirect->status;
    reply.location = redirect_location(route, *redirect, *head_);
  } else {
    reply = unsupported(std::get<runtime::Unsupported>(route.action).what);
  }
  enter_replied(std::move(reply));
}

void RequestMachine::on_request_ended(Time now) {
  if (request_ended_) return;
  request_ended_ = true;
  request_ended_at_ = now;
  deadlines_.clear(DeadlineKind::kReceive);
  touch(now);
  if (state_ != State::kTrying && state_ != State::kBackingOff) return;
  arm_route_timeout(now);
  if (state_ == State::kTrying && try_opened_ && try_timeout_) deadlines_.set(DeadlineKind::kTry, now + *try_timeout_);
}

void RequestMachine::enter_replied(LocalReply reply) {
  if (try_opened_ || state_ == State::kTrying) push(Action::Kind::kEndTry);
  try_opened_ = false;
  drop_late();
  retry_.end();
  retry_.forbid();
  deadlines_.clear_all();
  reply_ = std::move(reply);
  if (settings().suppresses_envoy_headers) reply_.overloaded = false;
  flags_ |= reply_.flags;
  details_ = reply_.details;
  state_ = State::kReplied;
  response_started_ = true;
  status_ = reply_.status;
  if (is_grpc(*head_)) {
    if (!context_.grpc_web) status_ = 200;
    grpc_status_ = static_cast<std::int32_t>(reply_.grpc_status.value_or(grpc_status_of_http(reply_.status)));
  }
  push(Action::Kind::kReply);
}

std::string_view RequestMachine::write_local_reply(http::ResponseHead& head, std::string_view date) const {
  const std::string_view body = proxy::write_local_reply(reply_, *head_, head);
  if (context_.grpc_web) head.status = reply_.status;
  const bool by_route = decision_.route != nullptr && reply_.details == "direct_response";
  if (by_route) {
    const runtime::RequestView request = view();
    runtime::HeaderContext context = header_context(request);
    context.response_headers = &head.headers;
    context.response_status = head.status;
    apply_response_operations(decision_, *context_.table, context, head.headers);
  }
  const runtime::Cors* cors = cors_ == CorsVerdict::kNone ? nullptr : &*decision_.route->cors;
  if (cors_ == CorsVerdict::kPreflight) write_preflight(*cors, *head_, head.headers);
  if (cors_ == CorsVerdict::kPreflight || cors_ == CorsVerdict::kAllowed) allow_origin(*cors, cors_origin_, head.headers);
  if (forward_ != nullptr && tries_ > 0 && decision_.virtual_host->include_attempt_count_in_response) {
    head.headers.set(http::HeaderId::kXEnvoyAttemptCount, std::to_string(tries_));
  }
  if (tells_operation() && reply_.details != upgrade_refused().details) {   // which Envoy finds before a route
    head.headers.set(http::HeaderId::kXEnvoyDecoratorOperation, decision_.route->operation);
  }
  head.headers.add(http::HeaderId::kDate, date);
  head.headers.add_reference(http::HeaderId::kServer, settings().server_name);
  return body;
}

void RequestMachine::enter_done() {
  state_ = State::kDone;
  retry_.end();
  deadlines_.clear_all();
}

void RequestMachine::on_client_gone(bool protocol_error) {
  if (state_ == State::kDone) return;
  flags_ |= protocol_error ? kDownstreamProtocolError : kDownstreamConnectionTermination;
  const bool http2 = head_ != nullptr && head_->version == http::Version::kHttp2;
  details_ = !protocol_error ? "downstream_remote_disconnect" : http2 ? "http2.violation.of.messaging.rule" : "http1.codec_error";
  if (state_ == State::kTrying || state_ == State::kResponding) push(Action::Kind::kEndTry);
  drop_late();
  enter_done();
}

void RequestMachine::on_deadline(Time now, Random& random) {
  while (const std::optional<DeadlineKind> due = deadlines_.take_due(now)) {
    switch (*due) {
      case DeadlineKind::kDuration: on_stream_duration(); break;
      case DeadlineKind::kRoute: on_route_timeout(); break;
      case DeadlineKind::kTryDuration: on_try_duration(now, random); break;
      case DeadlineKind::kTry: on_try_timeout(now, random); break;
      case DeadlineKind::kReceive:
        if (!response_started()) enter_replied(request_receive_timeout());
        break;
      case DeadlineKind::kIdle: on_idle(); break;
      case DeadlineKind::kDelay: after_delay(now, random); break;
      case DeadlineKind::kBackOff: enter_trying(now); break;
    }
  }
}

void RequestMachine::refuse(LocalReply reply) {
  if (state_ == State::kDone || state_ == State::kReplied) return;
  if (response_started()) return cut_response(reply.flags, reply.details);
  enter_replied(std::move(reply));
}

void RequestMachine::on_stream_duration() {
  if (response_started()) return cut_response(0, "max_duration_timeout");
  enter_replied(stream_duration_over(request_ended_));
}

void RequestMachine::on_idle() {
  if (response_started()) return cut_response(kStreamIdleTimeout, "stream_idle_timeout");
  enter_replied(stream_idle_timeout(request_ended_));
}

}  // namespace lateen::proxy
