#include "cli/exec_names.h"

#include <algorithm>
#include <cctype>

#include "text/edit_distance.h"

namespace lateen::cli {

namespace {

// Longer lines of /etc/hosts are cut by some resolvers; a service with many names gets several lines.
constexpr std::size_t kNamesPerLine = 8;

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  std::size_t at = 0;
  while (at < line.size()) {
    const auto begin = line.find_first_not_of(" \t\r", at);
    if (begin == std::string_view::npos) break;
    at = std::min(line.find_first_of(" \t\r", begin), line.size());
    found.push_back(line.substr(begin, at - begin));
  }
  return found;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string join_ports(const ExecService& service) {
  std::string out;
  for (const std::uint16_t port : service.ports) out += (out.empty() ? "" : ", ") + std::to_string(port);
  return out;
}

}  // namespace

ExecNames::ExecNames(ExecServices services) : services_(std::move(services)) {
  for (const ExecService& service : services_.services) {
    for (const std::string& host : service.hosts) by_host_.emplace(host, &service);
    for (const std::string& address : service.addresses) by_address_.emplace(address, &service);
  }
}

const ExecService* ExecNames::by_host(std::string_view host) const {
  if (const auto found = by_host_.find(host); found != by_host_.end()) return found->second;
  for (auto dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    const auto found = by_host_.find("*" + std::string(host.substr(dot)));
    if (found != by_host_.end()) return found->second;
  }
  return nullptr;
}

const ExecService* ExecNames::by_address(std::string_view address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : found->second;
}

std::optional<std::string> ExecNames::suggestion(std::string_view wrong) const {
  std::vector<std::string_view> candidates;
  for (const auto& [host, service] : by_host_) candidates.push_back(host);
  const auto found = text::closest(wrong, candidates);
  if (!found) return std::nullopt;
  return std::string(*found);
}

bool ExecNames::in_search_domain(std::string_view host) const {
  return std::any_of(services_.search.begin(), services_.search.end(),
                     [&](const std::string& domain) { return host.ends_with("." + domain); });
}

std::string hosts_file(const ExecNames& names, std::string_view original) {
  std::string out;
  for (const std::string_view line : lines(original)) {
    const auto parts = words(line.substr(0, line.find('#')));
    const bool taken = parts.size() > 1 && std::any_of(parts.begin() + 1, parts.end(), [&](std::string_view name) {
                         return names.by_host(lower(name)) != nullptr;
                       });
    if (taken) continue;
    out += line;
    out += '\n';
  }
  if (original.empty()) out = "127.0.0.1 localhost\n::1 localhost\n";
  out += "# services of the mesh\n";
  for (const ExecService& service : names.services().services) {
    for (const std::string& address : service.addresses) {
      std::size_t on_line = 0;
      for (const std::string& host : service.hosts) {
        if (host.starts_with('*') || names.by_host(host) != &service) continue;
        if (on_line++ % kNamesPerLine == 0) out += (on_line > 1 ? "\n" : "") + address;
        out += " " + host;
      }
      if (on_line > 0) out += '\n';
    }
  }
  return out;
}

std::string resolv_conf(const ExecServices& services, std::string_view nameserver) {
  std::string out = "# lateen exec\nnameserver " + std::string(nameserver) + "\n";
  if (!services.search.empty()) {
    out += "search";
    for (const std::string& domain : services.search) out += " " + domain;
    out += '\n';
  }
  return out + "options ndots:5 timeout:1 attempts:2\n";  // ndots as Kubernetes has it: reviews.default is searched too
}

std::string nsswitch_conf(std::string_view original) {
  std::string out;
  for (const std::string_view line : lines(original)) {
    if (line.starts_with("hosts:")) continue;
    out += line;
    out += '\n';
  }
  return out + "hosts: files dns\n";
}

std::string describe_refusal(const ExecNames& names, std::string_view address, std::uint16_t port) {
  const std::string at(address);
  const ExecService* service = names.by_address(address);
  if (service == nullptr) return at + ":" + std::to_string(port) + " is not an address of the mesh; inside it only services can be reached";
  const std::string what = service->name + " (" + at + ")";
  if (service->ports.empty()) return what + " has no ports";
  if (std::find(service->ports.begin(), service->ports.end(), port) != service->ports.end()) return {};
  return what + " has no port " + std::to_string(port) + "; its ports: " + join_ports(*service);
}

}  // namespace lateen::cli
