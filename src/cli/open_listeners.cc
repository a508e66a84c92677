#include "cli/open_listeners.h"

namespace lateen::cli {

void OpenListeners::set(const std::map<std::string, Wanted>& wanted) {
  problems_.clear();
  for (auto it = open_.begin(); it != open_.end();) {
    const auto still = wanted.find(it->first);
    if (still != wanted.end() && still->second == it->second.wanted) {
      ++it;
      continue;
    }
    proxy_.close_listener(it->first);
    it = open_.erase(it);
  }
  for (const auto& [name, one] : wanted) {
    if (open_.contains(name)) continue;
    auto bound = proxy_.listen(name, one.at, one.spec);
    if (bound) open_[name] = {one, *std::move(bound)};
    else problems_.push_back({"LTN0908", Severity::kError, one.origin, "cannot listen on " + net::to_string(one.at) + ": " + bound.error().message, one.fix});
  }
}

std::vector<proxy::BoundListener> OpenListeners::bound() const {
  std::vector<proxy::BoundListener> all;
  for (const auto& [name, open] : open_) all.push_back({name, open.bound.address});
  return all;
}

}  // namespace lateen::cli
