#include "proxy/request.h"

#include "base/result.h"

namespace lateen::proxy {

using stream::End;
using stream::ResetReason;

namespace {

constexpr std::uint16_t kContinueStatus = 100;

}  // namespace

void Request::begin(stream::ServerStream& server, End end, RequestOrigin origin) {
  LATEEN_CHECK(server_ == nullptr && !running_);
  more_lanes_.clear();
  server_ = &server;
  origin_ = std::move(origin);
  started_ = server.started();
  http::RequestHead& head = server.request();
  const bool ended = end == End::kYes;
  machine_.ahead().find_host();
  body_.begin(!ended);
  if (ended) body_.append(stream::Buffer(), End::kYes);
  if (head.expects_continue && !origin_.settings->proxies_100_continue) {
    http::ResponseHead go_on;
    go_on.status = kContinueStatus;
    if (!ended) server.send_informational(go_on);
    head.headers.remove(http::HeaderId::kExpect);
    head.expects_continue = false;
  }
  origin_.counters->rq_total.add();
  origin_.counters->rq_active.add();

  if (origin_.settings->grpc_web_filter) grpc_web_ = GrpcWeb::begin(head);
  RequestContext context;
  context.settings = origin_.settings;
  context.table = std::move(origin_.table);
  context.outbound = origin_.outbound;
  context.connection = origin_.connection;
  context.downstream_address = origin_.remote_text;
  context.local_address = origin_.local_text;
  context.grpc_web = grpc_web_ != nullptr;
  context.wall = home_.loop().wall_now();
  machine_.start(std::move(context), head, ended, home_.loop().now(), home_.random());
  run();
}

void Request::run() {
  if (running_) return;   // an action led to this event: the loop below goes on with what it brought
  running_ = true;
  while (const std::optional<Action> action = machine_.next_action()) carry_out(*action);
  running_ = false;
  if (finished_) return recycle();
  count_retry();
  rearm();
}

void Request::carry_out(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kStartTry: return start_try();
    case Action::Kind::kSend: return send_request();
    case Action::Kind::kEndTry: return end_try();
    case Action::Kind::kReport: return report(action);
    case Action::Kind::kRespond:
      if (server_ == nullptr) return;
      body_.stop_keeping();
      if (grpc_web_ != nullptr) grpc_web_->translate_head(*response_);
      return server_->send_headers(*response_, response_end_);
    case Action::Kind::kReply: return reply();
    case Action::Kind::kShadow: return start_shadows();
    case Action::Kind::kHedge: return hedge(action.late);
    case Action::Kind::kEndLate: return end_late(action.late);
    case Action::Kind::kPromote: return promote(action.late);
    case Action::Kind::kCut: {
      if (server_ == nullptr) return;
      stream::ServerStream* server = server_;
      finish();   // reads the request's head, which goes with the stream
      return server->reset();
    }
  }
}

void Request::reply() {
  if (server_ == nullptr) return;
  drop_shadows();
  const std::string_view body = machine_.write_local_reply(reply_head_, home_.date());
  bytes_sent_ = body.size();
  if (grpc_web_ != nullptr) grpc_web_->translate_head(reply_head_);
  const std::size_t credit = body_.drop();
  if (credit > 0) server_->consumed(credit);
  if (server_ == nullptr) return;
  server_->send_headers(reply_head_, body.empty() ? End::kYes : End::kNo);
  if (body.empty() || server_ == nullptr) return;
  stream::Buffer data;
  data.append_copy(body);
  server_->send_data(std::move(data), End::kYes);
}

void Request::rearm() {
  const Time at = machine_.deadline();
  if (at == Deadlines::kNever) {
    timer_.cancel();
    timer_at_ = at;
    return;
  }
  // A timer that wakes us early is left alone: it looks again then. So an idle timeout costs nothing while data flows.
  if (timer_.armed() && timer_at_ <= at) return;
  timer_at_ = at;
  home_.loop().arm<&Request::on_timer>(timer_, at - home_.loop().now(), this);
}

void Request::on_timer() {
  timer_at_ = Deadlines::kNever;
  machine_.on_deadline(home_.loop().now(), home_.random());
  run();
}

// ---- the client's stream

void Request::on_data(stream::Buffer data, End end) {
  const Time now = home_.loop().now();
  bytes_received_ += data.size();
  if (machine_.state() == RequestMachine::State::kReplied || machine_.state() == RequestMachine::State::kDone) {
    server_->consumed(data.size());
  } else {
    if (grpc_web_ != nullptr && !decode_grpc_web(data, end)) return;
    if (!shadows_.empty()) feed_shadows(data);
    body_.append(std::move(data), end);
    if (body_.over_bound() && lane_->upstream.stream() != nullptr) {
      body_.stop_keeping();
      machine_.on_body_not_kept();
    }
    machine_.on_request_data(now);
  }
  if (end == End::kYes) {
    machine_.on_request_ended(now);
    send_shadows();
  }
  send_body();
  run();
}

void Request::on_trailers(http::HeaderMap trailers) {
  body_.set_trailers(trailers.copy());
  machine_.on_request_ended(home_.loop().now());
  send_shadows();
  send_body();
  run();
}

// The text form is longer than what it stands for: the difference has arrived with the decoding.
bool Request::decode_grpc_web(stream::Buffer& data, End end) {
  const std::size_t bytes = data.size();
  if (grpc_web_->decode(data, end == End::kYes)) {
    if (data.size() < bytes) server_->consumed(bytes - data.size());
    return true;
  }
  server_->consumed(bytes);
  machine_.refuse(bad_grpc_web());
  run();
  return false;
}

void Request::on_reset(ResetReason reason) {
  machine_.on_client_gone(reason == ResetReason::kProtocolError);
  finish();
  run();
}

void Request::on_sent(std::size_t bytes) {
  machine_.on_client_progress(home_.loop().now());
  if (grpc_web_ != nullptr) bytes = grpc_web_->credit(bytes);
  if (bytes > 0 && lane_->upstream.stream() != nullptr) lane_->upstream.stream()->consumed(bytes);
}

void Request::on_complete() {
  if (machine_.state() == RequestMachine::State::kReplied) machine_.on_replied();
  finish();
  run();
}

}  // namespace lateen::proxy
