#include "proxy/dns_cache.h"

#include <algorithm>
#include <utility>

namespace lateen::proxy {

void DnsCache::find(const std::string& name, net::DnsFamily family, Done done) {
  Question question(name, family);
  auto found = names_.find(question);
  if (found == names_.end()) {
    if (names_.size() >= kNamesMax && !make_room()) return done(fail(ErrorCode::kOverLimit, "too many names"));
    found = names_.try_emplace(question).first;
  }
  Name& entry = found->second;
  if (entry.address && loop_.now() < entry.good_until) return done(*entry.address);
  if (entry.waiting.size() >= kWaitingMax) return done(fail(ErrorCode::kOverLimit, "too many wait for one name"));
  entry.waiting.push_back(std::move(done));
  if (entry.query != nullptr) return;
  entry.query = resolver_.resolve(name, family, [this, question = std::move(question)](Result<net::Resolved> answer) {
    on_answer(question, std::move(answer));
  });
}

// The one that is out of date for longest goes.
bool DnsCache::make_room() {
  auto oldest = names_.end();
  for (auto at = names_.begin(); at != names_.end(); ++at) {
    if (at->second.query != nullptr) continue;
    if (oldest == names_.end() || at->second.good_until < oldest->second.good_until) oldest = at;
  }
  if (oldest == names_.end()) return false;
  names_.erase(oldest);
  return true;
}

void DnsCache::on_answer(const Question& question, Result<net::Resolved> answer) {
  const auto found = names_.find(question);
  if (found == names_.end()) return;
  Name& entry = found->second;
  const std::unique_ptr<net::DnsQuery> answered = std::move(entry.query);   // to the end of this function, which it calls
  Result<net::Address> address = fail(ErrorCode::kNotFound, "no such name");
  if (answer) {
    const Duration ttl = answer->ttl == Duration::zero() ? kKeptWithoutTtl : answer->ttl;
    entry.address = answer->addresses.front();
    entry.good_until = loop_.now() + std::clamp(ttl, kKeptMin, kKeptMax);
  } else if (entry.address) {
    entry.good_until = loop_.now() + kKeptMin;
  }
  if (entry.address) address = *entry.address;
  const std::vector<Done> waiting = std::exchange(entry.waiting, {});
  if (!entry.address) names_.erase(found);
  for (const Done& done : waiting) done(address);
}

}  // namespace lateen::proxy
