#include "analyze/coverage.h"

#include <algorithm>

#include "translate/names.h"

namespace lateen::analyze {

namespace {

using model::HttpMatchRequest;
using model::StringMatch;
using Kind = model::StringMatch::Kind;

bool takes_any_path(const StringMatch& uri) {
  return (uri.kind == Kind::kPrefix && (uri.value == "/" || uri.value.empty())) || (uri.kind == Kind::kRegex && uri.value == ".*") || uri.kind == Kind::kPresent;
}

bool pattern_covers(const StringMatch& wide, const StringMatch& narrow) {
  if (wide == narrow || wide.kind == Kind::kPresent || (wide.kind == Kind::kRegex && wide.value == ".*")) return true;
  if (wide.kind == Kind::kPrefix && (narrow.kind == Kind::kPrefix || narrow.kind == Kind::kExact)) return narrow.value.starts_with(wide.value);
  return false;
}

bool optional_covers(const std::optional<StringMatch>& wide, const std::optional<StringMatch>& narrow) {
  return !wide || (narrow && pattern_covers(*wide, *narrow));
}

bool uri_covers(const HttpMatchRequest& wide, const HttpMatchRequest& narrow) {
  if (!wide.uri || takes_any_path(*wide.uri)) return true;
  if (!narrow.uri) return false;
  if (narrow.ignore_uri_case && !wide.ignore_uri_case) return false;
  if (!wide.ignore_uri_case || wide.uri->kind == Kind::kRegex || narrow.uri->kind == Kind::kRegex) return pattern_covers(*wide.uri, *narrow.uri);
  return pattern_covers({wide.uri->kind, translate::lower(wide.uri->value)}, {narrow.uri->kind, translate::lower(narrow.uri->value)});
}

// Every condition of the wide one is implied by one of the narrow one.
bool map_covers(const std::map<std::string, StringMatch>& wide, const std::map<std::string, StringMatch>& narrow) {
  return std::all_of(wide.begin(), wide.end(), [&](const auto& condition) {
    const auto found = narrow.find(condition.first);
    return found != narrow.end() && pattern_covers(condition.second, found->second);
  });
}

// "Without" conditions turn round: to lack less is to take more.
bool without_covers(const std::map<std::string, StringMatch>& wide, const std::map<std::string, StringMatch>& narrow) {
  return std::all_of(wide.begin(), wide.end(), [&](const auto& condition) {
    const auto found = narrow.find(condition.first);
    return found != narrow.end() && pattern_covers(found->second, condition.second);
  });
}

// An empty list is the rule's own: the same for both.
bool gateways_cover(const std::vector<std::string>& wide, const std::vector<std::string>& narrow) {
  if (wide.empty()) return true;
  return !narrow.empty() && std::all_of(narrow.begin(), narrow.end(), [&](const std::string& name) { return std::find(wide.begin(), wide.end(), name) != wide.end(); });
}

}  // namespace

bool takes_everything(const HttpMatchRequest& match) {
  return (!match.uri || takes_any_path(*match.uri)) && !match.scheme && !match.method && !match.authority && match.headers.empty() && match.without_headers.empty() &&
         match.query_params.empty() && match.port == 0 && match.source_labels.empty() && match.source_namespace.empty() && match.gateways.empty();
}

bool covers(const HttpMatchRequest& wide, const HttpMatchRequest& narrow) {
  // With gateways of its own a match does not look at the source (ISTIO_FACTS 2.1), so the two cannot be compared.
  if (wide.gateways.empty() != narrow.gateways.empty() && (!narrow.source_labels.empty() || !wide.source_labels.empty() || !wide.source_namespace.empty())) return false;
  return uri_covers(wide, narrow) && optional_covers(wide.scheme, narrow.scheme) && optional_covers(wide.method, narrow.method) &&
         optional_covers(wide.authority, narrow.authority) && map_covers(wide.headers, narrow.headers) && map_covers(wide.query_params, narrow.query_params) &&
         without_covers(wide.without_headers, narrow.without_headers) && (wide.port == 0 || wide.port == narrow.port) &&
         translate::selects(wide.source_labels, narrow.source_labels) && (wide.source_namespace.empty() || wide.source_namespace == narrow.source_namespace) &&
         gateways_cover(wide.gateways, narrow.gateways);
}

}  // namespace lateen::analyze
