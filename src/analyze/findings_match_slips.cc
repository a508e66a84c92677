// Slips of the pen in matches: prefixes, regular expressions, header names, ports.
#include <algorithm>

#include "analyze/findings.h"

namespace lateen::analyze {

namespace {

using model::StringMatch;
using Kind = model::StringMatch::Kind;

bool is_literal(std::string_view text) { return text.find_first_of("\\^$.|?*+()[]{}") == std::string_view::npos; }

// "prefix: /api" for "/api.*", "exact: /api" for "/api", "" where a regular expression is needed.
std::string simpler(std::string_view regex) {
  if (regex.starts_with('^')) regex.remove_prefix(1);
  if (regex.ends_with('$')) regex.remove_suffix(1);
  if (!regex.empty() && is_literal(regex)) return "exact: " + std::string(regex);
  if (regex.size() > 2 && regex.ends_with(".*") && is_literal(regex.substr(0, regex.size() - 2))) return "prefix: " + std::string(regex.substr(0, regex.size() - 2));
  return {};
}

class MatchCheck {
 public:
  MatchCheck(Findings& findings, const model::Object& object, const model::VirtualService& service) : findings_(findings), object_(object), service_(service) {}

  void check(const model::HttpMatchRequest& match, const std::string& path) {
    if (match.uri) {
      const StringMatch& uri = *match.uri;
      if (uri.kind == Kind::kPrefix && uri.value.size() > 1 && !uri.value.ends_with('/') && uri.value.starts_with('/'))
        findings_.add(Finding::kPrefixTakesMore, object_, path + ".uri.prefix", {uri.value});
      check_regex(uri, path + ".uri");
    }
    if (match.method) check_regex(*match.method, path + ".method");
    if (match.authority) check_regex(*match.authority, path + ".authority");
    check_headers(match.headers, path + ".headers");
    check_headers(match.without_headers, path + ".withoutHeaders");
    if (match.port != 0) check_port(match.port, path + ".port");
  }

 private:
  void check_regex(const StringMatch& match, const std::string& path) {
    if (match.kind != Kind::kRegex) return;
    if (const std::string better = simpler(match.value); !better.empty()) findings_.add(Finding::kNeedlessRegex, object_, path + ".regex", {match.value, better});
  }

  void check_headers(const std::map<std::string, StringMatch>& headers, const std::string& path) {
    for (const auto& [name, match] : headers) {
      const std::string field = path + "." + name;
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
      if (name == "uri" || name == "scheme" || name == "method" || name == "authority") findings_.add(Finding::kIgnoredHeader, object_, field, {name});
      else if (lower != name) findings_.add(Finding::kHeaderCase, object_, field, {name, lower});
      check_regex(match, field);
    }
  }

  // Gateways listen where their servers say; only the ports of services are known here.
  void check_port(std::uint32_t port, const std::string& path) {
    if (!service_.gateways.empty() || !findings_.has_services()) return;
    std::string known;
    for (const std::string& host : service_.hosts) {
      const translate::Service* service = findings_.service(host, object_);
      if (service == nullptr || service->find_port(port) != nullptr) return;
      known += (known.empty() ? "" : "; ") + host + " has " + ports_text(*service);
    }
    findings_.add(Finding::kMatchPort, object_, path, {std::to_string(port), known});
  }

  Findings& findings_;
  const model::Object& object_;
  const model::VirtualService& service_;
};

}  // namespace

void find_match_slips(Findings& findings) {
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService)) {
    MatchCheck check(findings, *object, *service);
    for (std::size_t i = 0; i < service->http.size(); ++i)
      for (std::size_t j = 0; j < service->http[i].match.size(); ++j) check.check(service->http[i].match[j], item("spec.http", i) + "." + item("match", j));
  }
}

}  // namespace lateen::analyze
