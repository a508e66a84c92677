// From the route to the first try: the third part of RequestMachine.
#include <algorithm>
#include <charconv>

#include "proxy/header_mutation.h"
#include "proxy/request_hash.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"

namespace lateen::proxy {
namespace {

// "<up to 8 digits><unit>" (gRPC over HTTP2, "Timeout"); nothing where it is something else.
std::optional<Duration> grpc_timeout(const http::HeaderMap& headers) {
  const std::optional<std::string_view> text = headers.get("grpc-timeout");
  if (!text || text->size() < 2 || text->size() > 9) return std::nullopt;
  std::int64_t value = 0;
  const char* unit = text->data() + text->size() - 1;
  const auto [end, error] = std::from_chars(text->data(), unit, value);
  if (error != std::errc() || end != unit || value < 0) return std::nullopt;
  switch (*unit) {
    case 'H': return std::chrono::hours(value);
    case 'M': return std::chrono::minutes(value);
    case 'S': return std::chrono::seconds(value);
    case 'm': return std::chrono::milliseconds(value);
    case 'u': return std::chrono::microseconds(value);
    case 'n': return std::chrono::nanoseconds(value);
    default: return std::nullopt;
  }
}

}  // namespace

// A gRPC request may shorten or set the timeout by grpc-timeout, as far as the route allows it (Envoy's max_grpc_timeout).
Duration RequestMachine::timeout_of(const runtime::Forward& forward) const {
  if (!forward.grpc_timeout_max || !is_grpc(*head_)) return forward.timeout;
  const std::optional<Duration> asked = grpc_timeout(head_->headers);
  if (!asked) return forward.timeout;
  const Duration most = *forward.grpc_timeout_max;
  return most == Duration::zero() ? *asked : std::min(*asked, most);
}

void RequestMachine::enter_forwarding(const runtime::Forward& forward, Time now) {
  forward_ = &forward;
  route_timeout_ = timeout_of(forward);
  const runtime::Route& route = *decision_.route;
  if (head_->is_upgrade && !(settings().websocket_upgrades && forward.upgrades_allowed)) {
    return enter_replied(upgrade_refused());
  }
  // Of the request as the client sent it (Envoy picks the host before it changes the head).
  if (!forward.hash.empty()) hash_request(forward);
  {
    const runtime::RequestView request = view();
    apply_request_operations(decision_, *context_.table, header_context(request), *head_, authority_storage_);
  }
  apply_rewrite(route, forward.rewrite, decision_.cluster->host_rewrite, *head_, rewritten_path_, authority_storage_);
  if (context_.outbound && !route.operation.empty()) {
    head_->headers.set(http::HeaderId::kXEnvoyDecoratorOperation, route.operation);
  }
  const runtime::RetryPolicy* retry = nullptr;
  if (forward.retry) {
    retry = &*forward.retry;
  } else if (decision_.virtual_host->retry) {
    retry = &*decision_.virtual_host->retry;
  }
  retry_.begin(retry);
  // A tunnel's first bytes are the peers' own; and a per-try timeout beyond the route's has no effect (Envoy).
  if (head_->is_upgrade) retry_.forbid();
  if (retry != nullptr && retry->per_try_timeout && *retry->per_try_timeout > Duration::zero() &&
      (route_timeout_ == Duration::zero() || *retry->per_try_timeout < route_timeout_)) {
    try_timeout_ = retry->per_try_timeout;
  }
  // Envoy's route timeout runs from the end of the request; with an injected delay it may be running already.
  if (request_ended_at_) arm_route_timeout(std::max(*request_ended_at_, now));
  enter_trying(now);
}

void RequestMachine::hash_request(const runtime::Forward& forward) {
  const std::string client = client_address(*head_, settings(), context_.connection);
  const HashSource source{.client_ip = client,
                          .downstream_address = context_.downstream_address,
                          .local_address = context_.local_address};
  hash_ = proxy::hash_request(forward.hash, *head_, source, set_cookies_);
}

void RequestMachine::arm_route_timeout(Time from) {
  if (route_timeout_ == Duration::zero() || deadlines_.is_set(DeadlineKind::kRoute)) return;
  deadlines_.set(DeadlineKind::kRoute, from + route_timeout_);
}

}  // namespace lateen::proxy
