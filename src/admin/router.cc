#include "admin/router.h"

#include <algorithm>

namespace lateen::admin {

namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  const std::string_view name = without_port(host);
  if (name == "localhost" || name == "[::1]") return true;
  if (!name.starts_with("127.")) return false;
  // Only digits and dots: "127.evil.example" is a name like any other.
  return std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

std::string refuse_change(const Request& request) {
  if (!is_loopback_host(request.host))
    return "changes are taken only under a loopback name: Host is \"" + request.host + "\", not localhost or 127.0.0.1";
  if (!request.origin.empty() && request.origin != "http://" + request.host)
    return "changes are not taken from web pages: Origin is \"" + request.origin + "\"";
  return {};
}

void Router::add_page(std::string path, std::string help, Handler handler) {
  help_.push_back({"GET", path, std::move(help)});
  exact_[std::move(path)].push_back({"GET", std::move(handler), false});
}

void Router::add_change(std::string method, std::string path, std::string help, Handler handler) {
  help_.push_back({method, path, std::move(help)});
  exact_[std::move(path)].push_back({std::move(method), std::move(handler), true});
}

void Router::add_change_below(std::string method, std::string prefix, std::string help, Handler handler) {
  help_.push_back({method, prefix + "...", std::move(help)});
  below_[std::move(prefix)].push_back({std::move(method), std::move(handler), true});
}

const std::vector<Router::Entry>* Router::find(const std::string& path) const {
  if (const auto found = exact_.find(path); found != exact_.end()) return &found->second;
  for (const auto& [prefix, entries] : below_)
    if (path.size() > prefix.size() && path.starts_with(prefix)) return &entries;
  return nullptr;
}

void Router::handle(const Request& request, Reply reply) const {
  const std::vector<Entry>* entries = find(request.path);
  if (entries == nullptr)
    return reply(error_response(404, "there is no page " + request.path + "; /help lists them"));
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  const auto entry = std::find_if(entries->begin(), entries->end(), [&](const Entry& e) { return e.method == method; });
  if (entry == entries->end()) {
    std::string allowed;
    for (const Entry& e : *entries) allowed += (allowed.empty() ? "" : " or ") + e.method;
    return reply(error_response(405, request.path + " needs " + allowed));
  }
  if (entry->changes) {
    if (const std::string refusal = refuse_change(request); !refusal.empty()) return reply(error_response(403, refusal));
  }
  entry->handler(request, reply);
}

}  // namespace lateen::admin
