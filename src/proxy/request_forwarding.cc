// From the route to the first try: the third part of RequestMachine.
#include <algorithm>

#include "base/result.h"
#include "proxy/grpc_timeout.h"
#include "proxy/header_mutation.h"
#include "proxy/request_hash.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"
#include "proxy/shadow_request.h"
#include "runtime/match.h"

namespace lateen::proxy {

// A gRPC request may set the timeout by grpc-timeout, up to what the route allows; the route's own timeout is then not
// looked at (Envoy's max_grpc_timeout).
Duration RequestMachine::timeout_of(const runtime::Forward& forward) const {
  if (!forward.policy->grpc_timeout_max || !is_grpc(*head_)) return forward.policy->timeout;
  const Duration asked = grpc_timeout(head_->headers).value_or(Duration::zero());
  const Duration most = *forward.policy->grpc_timeout_max;
  if (most == Duration::zero()) return asked;
  return asked == Duration::zero() ? most : std::min(asked, most);
}

// Of the whole stream; zero: none. Where the route lets it, grpc-timeout takes the place of the route's own
// (RouteAction.MaxStreamDuration).
Duration RequestMachine::stream_duration_of(const runtime::Forward& forward) const {
  if (forward.policy->grpc_stream_duration_max) {
    if (const std::optional<Duration> asked = grpc_timeout(head_->headers)) {
      const Duration most = *forward.policy->grpc_stream_duration_max;
      return most > Duration::zero() && (*asked == Duration::zero() || *asked > most) ? most : *asked;
    }
  }
  return forward.policy->stream_duration_max.value_or(settings().stream_duration_max.value_or(Duration::zero()));
}

// The next hop is told in Envoy's words how long it has.
void RequestMachine::tell_stream_duration(Duration most) {
  if (most <= Duration::zero() || !is_grpc(*head_) || !grpc_timeout(head_->headers)) return;
  head_->headers.set("grpc-timeout", grpc_timeout_text(std::chrono::duration_cast<std::chrono::milliseconds>(most)));
}

// Asked before faults and direct responses, as in Envoy.
bool RequestMachine::may_upgrade() const {
  const auto* forward = std::get_if<runtime::Forward>(&decision_.route->action);
  if (head_->method == "CONNECT" && !head_->is_upgrade) {
    return settings().connect_upgrades && (forward == nullptr || forward->policy->connect_allowed);
  }
  if (!head_->is_upgrade) return true;
  const std::string_view to = head_->headers.get(http::HeaderId::kUpgrade).value_or("");
  const bool by_route = forward == nullptr || forward->policy->upgrades_allowed;
  return settings().websocket_upgrades && by_route && runtime::equals_ignoring_case(to, "websocket");
}

bool RequestMachine::ends_tunnel() const {
  if (forward_ == nullptr || head_->is_upgrade) return false;
  return (forward_->policy->ends_connect && head_->method == "CONNECT") || (forward_->policy->ends_post && head_->method == "POST");
}

void RequestMachine::enter_forwarding(const runtime::Forward& forward, Time now, Random& random) {
  forward_ = &forward;
  route_timeout_ = timeout_of(forward);
  if (!forward.policy->cluster_header.empty()) {
    named_.emplace();
    named_->name = head_->headers.get(forward.policy->cluster_header).value_or("");
    if (named_->name.empty()) return enter_replied(cluster_not_found(forward.policy->cluster_not_found_status));
  }
  // Of the request as the client sent it (Envoy picks the host before it changes the head).
  if (!forward.policy->hash.empty()) hash_request(forward);
  const runtime::Route& route = *decision_.route;
  {
    const runtime::RequestView request = view();
    apply_request_operations(decision_, *context_.table, header_context(request), *head_, authority_storage_);
  }
  const std::string_view cluster_host = decision_.cluster == nullptr ? std::string_view() : decision_.cluster->host_rewrite.view();
  if (forward.policy->rewrite || !cluster_host.empty()) {
    static const runtime::Rewrite kNoRewrite;
    apply_rewrite(route, forward.policy->rewrite ? *forward.policy->rewrite : kNoRewrite, cluster_host, *head_, rewritten_path_,
                  authority_storage_, keeps_original());
  }
  if (context_.outbound && settings().names_operations && !route.operation.empty()) {
    // A reference: the table is pinned longer than the head is read, and the text is not waited for here.
    head_->headers.remove(http::HeaderId::kXEnvoyDecoratorOperation);
    head_->headers.add_reference(http::HeaderId::kXEnvoyDecoratorOperation, route.operation);
  }
  begin_retries(forward);
  if (!forward.policy->mirrors.empty()) choose_shadows(forward, random);
  // Envoy's route timeout runs from the end of the request; with an injected delay it may be running already.
  if (request_ended_at_) arm_route_timeout(std::max(*request_ended_at_, now));
  enter_trying(now);
}

void RequestMachine::begin_retries(const runtime::Forward& forward) {
  const runtime::RetryPolicy* const retry = forward.policy->retry ? &*forward.policy->retry : nullptr;
  if (retry != nullptr && !retry->retriable_request_headers.empty()) {
    const runtime::RequestView request = view();
    retry_.begin(retry, request);
  } else {
    retry_.begin(retry);
  }
  // A tunnel's first bytes are the peers' own; and a per-try timeout beyond the route's has no effect (Envoy).
  if (head_->is_upgrade || head_->method == "CONNECT" || ends_tunnel()) retry_.forbid();
  if (retry != nullptr && retry->per_try_timeout && *retry->per_try_timeout > Duration::zero() &&
      (route_timeout_ == Duration::zero() || *retry->per_try_timeout < route_timeout_)) {
    try_timeout_ = retry->per_try_timeout;
  }
}

// Each mirror is drawn by itself. A tunnel has no end at which its shadow could be sent.
void RequestMachine::choose_shadows(const runtime::Forward& forward, Random& random) {
  if (head_->is_upgrade || head_->method == "CONNECT" || ends_tunnel()) return;
  for (const runtime::Mirror& mirror : forward.policy->mirrors) {
    const bool always = mirror.per_million >= runtime::Fraction::kMillion;
    if (always || random.below(runtime::Fraction::kMillion) < mirror.per_million) shadows_.push_back(&mirror);
  }
}

// As Envoy makes it: the head as it goes upstream, and the route's timeout as the shadow's own.
void RequestMachine::write_shadow(const runtime::Mirror& mirror, OwnedHead& out) const {
  out.copy(*head_);
  const runtime::RequestView request = view();
  apply(mirror.request_headers, header_context(request), out.head.headers);
  if (!mirror.host_rewrite.empty()) {
    out.authority = mirror.host_rewrite;
  } else if (mirror.append_shadow_suffix) {
    const std::size_t colon = out.authority.ends_with(']') ? std::string::npos : out.authority.rfind(':');
    out.authority.insert(colon == std::string::npos ? out.authority.size() : colon, "-shadow");
  }
  out.head.authority = out.authority;
  if (route_timeout_ > Duration::zero() && !settings().suppresses_envoy_headers) {
    out.head.headers.set(http::HeaderId::kXEnvoyExpectedRqTimeoutMs,
                         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(route_timeout_).count()));
  }
}

void RequestMachine::hash_request(const runtime::Forward& forward) {
  const std::string client = client_address(*head_, settings(), context_.connection);
  const HashSource source{.client_ip = client,
                          .downstream_address = context_.downstream_address,
                          .local_address = context_.local_address};
  hash_ = proxy::hash_request(forward.policy->hash, *head_, source, set_cookies_);
}

void RequestMachine::arm_route_timeout(Time from) {
  if (route_timeout_ == Duration::zero() || deadlines_.is_set(DeadlineKind::kRoute)) return;
  deadlines_.set(DeadlineKind::kRoute, from + route_timeout_);
}

}  // namespace lateen::proxy
