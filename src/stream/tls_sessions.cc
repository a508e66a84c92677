#include "stream/tls_context.h"

namespace lateen::stream {

SessionOwner TlsSessions::take(const std::string& peer) {
  const std::lock_guard guard(lock_);
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return nullptr;
  std::list<SessionOwner>& sessions = found->second.sessions;
  SSL_SESSION* newest = sessions.back().get();
  if (SSL_SESSION_get_protocol_version(newest) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(newest);
    return SessionOwner(newest);
  }
  SessionOwner taken = std::move(sessions.back());
  sessions.pop_back();
  --count_;
  if (sessions.empty()) {
    order_.erase(found->second.place);
    peers_.erase(found);
  }
  return taken;
}

void TlsSessions::put(const std::string& peer, SessionOwner session) {
  const std::lock_guard guard(lock_);
  if (per_peer_ == 0) return;
  auto [at, fresh] = peers_.try_emplace(peer);
  if (!fresh) order_.erase(at->second.place);
  at->second.place = order_.insert(order_.end(), peer);
  at->second.sessions.push_back(std::move(session));
  ++count_;
  if (at->second.sessions.size() > per_peer_) {
    at->second.sessions.pop_front();
    --count_;
  }
  while (count_ > kTlsSessionsMax) {
    const auto oldest = peers_.find(order_.front());
    count_ -= oldest->second.sessions.size();
    peers_.erase(oldest);
    order_.pop_front();
  }
}

}  // namespace lateen::stream
