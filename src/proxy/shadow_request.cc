#include "proxy/shadow_request.h"

#include <array>

namespace lateen::proxy {

using stream::End;

void OwnedHead::copy(const http::RequestHead& from) {
  method = from.method;
  scheme = from.scheme;
  authority = from.authority;
  path = from.path;
  head.headers = from.headers.copy();
  head.method = method;
  head.scheme = scheme;
  head.authority = authority;
  head.path = path;
  head.version = from.version;
}

void Shadows::end_all() {
  for (const auto& shadow : all_) shadow->end();
}

Shadow* Shadows::make(WorkerView& view, runtime::ClusterId id, Duration timeout) {
  std::shared_ptr<const runtime::Cluster> policy = view.policy(id);
  if (policy == nullptr || !policy->unsupported.empty()) return nullptr;
  WorkerCluster* cluster = view.cluster(id);
  if (cluster == nullptr) return nullptr;
  if (spare_.empty()) {
    if (all_.size() == kShadowsMax) return nullptr;
    all_.push_back(std::make_unique<Shadow>(*this));
    spare_.push_back(all_.back().get());
  }
  Shadow* shadow = spare_.back();
  spare_.pop_back();
  shadow->used_ = true;
  shadow->policy_ = std::move(policy);
  shadow->cluster_ = cluster;
  shadow->timeout_ = timeout > Duration::zero() ? timeout : kShadowTimeout;
  return shadow;
}

bool Shadow::append(stream::Buffer data) {
  if (body_.size() + data.size() > kShadowBodyBytesMax) {
    end();
    return false;
  }
  body_.append(std::move(data));
  return true;
}

void Shadow::launch() {
  WorkerHost* host = cluster_->pick({.tried = {}, .attempts = 1, .hash = {}, .priorities_tried_update = 0});
  if (host == nullptr) return end();
  home_.loop_.arm<&Shadow::on_timeout>(timer_, timeout_, this);
  try_.start(HostPin(host));
}

void Shadow::end() {
  if (!used_) return;
  used_ = false;
  try_.forget();
  timer_.cancel();
  body_ = stream::Buffer();
  trailers_.reset();
  head_.head = http::RequestHead();
  policy_.reset();
  cluster_ = nullptr;
  home_.spare_.push_back(this);
}

// As Envoy marks them: from inside the mesh, by way of this proxy.
void Shadow::on_upstream_ready() {
  http::HeaderMap& headers = head_.head.headers;
  headers.set(http::HeaderId::kXEnvoyInternal, "true");
  std::string forwarded_for(headers.get(http::HeaderId::kXForwardedFor).value_or(""));
  if (!forwarded_for.empty()) forwarded_for += ',';
  forwarded_for += try_.stream()->local_address().host;
  headers.set(http::HeaderId::kXForwardedFor, forwarded_for);
  const bool bodiless = body_.empty() && !trailers_;
  try_.stream()->send_headers(head_.head, bodiless ? End::kYes : End::kNo);
  if (bodiless || try_.stream() == nullptr) return;
  if (!body_.empty()) try_.stream()->send_data(std::exchange(body_, stream::Buffer()), trailers_ ? End::kNo : End::kYes);
  if (trailers_ && try_.stream() != nullptr) try_.stream()->send_trailers(*trailers_);
}

void Shadow::on_upstream_headers(http::ResponseHead& head, End end_of_message) {
  ClusterSlot& slot = cluster_->slot();
  slot.upstream_rq_completed.add();
  const std::array classes = {&slot.upstream_rq_1xx, &slot.upstream_rq_2xx, &slot.upstream_rq_3xx, &slot.upstream_rq_4xx,
                              &slot.upstream_rq_5xx};
  if (head.status >= 100 && head.status <= 599) classes[head.status / 100U - 1]->add();
  (head.status >= 500 ? try_.host()->slot().requests_error : try_.host()->slot().requests_success).add();
  cluster_->report(*try_.host(), *policy_, TryResult::kStatus, head.status);
  if (end_of_message == End::kYes) end();
}

void Shadow::on_upstream_data(stream::Buffer data, End end_of_message) {
  if (end_of_message == End::kYes) return end();
  try_.stream()->consumed(data.size());
}

void Shadow::on_upstream_reset(stream::ResetReason reason, bool, std::string_view) {
  if (reason != stream::ResetReason::kOverflow) {
    try_.host()->slot().requests_error.add();
    cluster_->report(*try_.host(), *policy_, TryResult::kLocalConnectFailure, 0);
  }
  end();
}

void Shadow::on_timeout() {
  cluster_->slot().upstream_rq_timeout.add();
  if (try_.stream() != nullptr) cluster_->slot().upstream_rq_tx_reset.add();
  cluster_->report(*try_.host(), *policy_, TryResult::kLocalTimeout, 0);
  end();
}

}  // namespace lateen::proxy
