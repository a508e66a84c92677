#include "translate/names.h"

#include <algorithm>
#include <cctype>

namespace lateen::translate {
namespace {

// "*.example.com" -> ".example.com"; "*" -> "".
std::string_view wildcard_suffix(std::string_view host) { return host.substr(1); }

}  // namespace

std::string cluster_name(std::string_view direction, std::uint32_t port, std::string_view subset,
                         std::string_view host) {
  std::string name(direction);
  name += '|';
  name += std::to_string(port);
  name += '|';
  name += subset;
  name += '|';
  name += host;
  return name;
}

std::string outbound_cluster(std::uint32_t port, std::string_view subset, std::string_view host) {
  return cluster_name("outbound", port, subset, host);
}

std::string mtls_sni(std::uint32_t port, std::string_view subset, std::string_view host) {
  std::string name = "outbound_." + std::to_string(port) + "_.";
  name += subset;
  name += "_.";
  name += host;
  return name;
}

std::string resolve_host(std::string_view host, std::string_view namespace_, std::string_view cluster_domain) {
  std::string out(host);
  if (host.empty() || host == "*" || host.find('.') != std::string_view::npos) return out;
  out += '.';
  out += namespace_;
  out += ".svc.";
  out += cluster_domain;
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_wildcard(std::string_view host) { return host.starts_with('*'); }

bool is_ip(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return true;  // a DNS name has no colon
  int dots = 0;
  for (const char c : text) {
    if (c == '.') ++dots;
    else if (c < '0' || c > '9') return false;
  }
  return dots == 3;
}

bool hosts_match(std::string_view one, std::string_view other) {
  if (!is_wildcard(one) && !is_wildcard(other)) return one == other;
  if (is_wildcard(one) && is_wildcard(other)) {
    const std::string_view a = wildcard_suffix(one), b = wildcard_suffix(other);
    return a.ends_with(b) || b.ends_with(a);
  }
  return is_wildcard(one) ? other.ends_with(wildcard_suffix(one)) : one.ends_with(wildcard_suffix(other));
}

bool host_within(std::string_view inner, std::string_view outer) {
  if (!is_wildcard(outer)) return inner == outer;
  return (is_wildcard(inner) ? wildcard_suffix(inner) : inner).ends_with(wildcard_suffix(outer));
}

bool more_specific(std::string_view one, std::string_view other) {
  if (is_wildcard(one) != is_wildcard(other)) return !is_wildcard(one);
  if (one.size() != other.size()) return one.size() > other.size();
  return one < other;
}

std::string gateway_key(std::string_view gateway, std::string_view namespace_) {
  if (gateway == "mesh" || gateway.find('/') != std::string_view::npos) return std::string(gateway);
  // "name.namespace.svc..." is the older way to name a gateway of another namespace.
  if (const std::size_t dot = gateway.find('.'); dot != std::string_view::npos) {
    const std::string_view rest = gateway.substr(dot + 1);
    return std::string(rest.substr(0, rest.find('.'))) + "/" + std::string(gateway.substr(0, dot));
  }
  return std::string(namespace_) + "/" + std::string(gateway);
}

std::string config_path(const model::Object& object) {
  const model::KindNames& kind = model::names(object.kind);
  std::string path = "/apis/";
  path += kind.api_group;
  path += "/v1/namespaces/";
  path += object.meta.namespace_;
  path += '/';
  path += kind.hyphenated;
  path += '/';
  path += object.meta.name;
  return path;
}

bool exported(const std::vector<std::string>& export_to, std::string_view namespace_, std::string_view client) {
  if (export_to.empty()) return true;
  return std::any_of(export_to.begin(), export_to.end(), [&](const std::string& to) {
    return to == "*" || (to == "." && namespace_ == client) || to == client;
  });
}

bool selects(const std::map<std::string, std::string>& selector, const std::map<std::string, std::string>& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto it = labels.find(wanted.first);
    return it != labels.end() && it->second == wanted.second;
  });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

}  // namespace lateen::translate
