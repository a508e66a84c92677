// HTTPMatchRequest -> RouteMatch: what Envoy looks at in a request. What is decided at generation (port, source,
// gateways) is in routes.cc.
#include <algorithm>

#include "model/names.h"
#include "translate/routes.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;
using model::StringMatch;

// `*` is no RE2 expression; Istio takes it for "is there".
bool means_present(const StringMatch& match) {
  return match.kind == StringMatch::Kind::kPresent || (match.kind == StringMatch::Kind::kRegex && match.value == "*");
}

void fill_string(envoy::type::matcher::v3::StringMatcher& out, const StringMatch& match) {
  switch (match.kind) {
    case StringMatch::Kind::kExact: out.set_exact(match.value); return;
    case StringMatch::Kind::kPrefix: out.set_prefix(match.value); return;
    case StringMatch::Kind::kRegex: out.mutable_safe_regex()->set_regex(match.value); return;
    case StringMatch::Kind::kPresent: return;
  }
}

route_v3::HeaderMatcher header(const std::string& name, const StringMatch& match) {
  route_v3::HeaderMatcher out;
  out.set_name(name);
  if (means_present(match)) out.set_present_match(true);
  else fill_string(*out.mutable_string_match(), match);
  return out;
}

// A claim of a token, as the filter that checks tokens leaves it: a string, or a list of which one entry fits.
void fill_claim(envoy::type::matcher::v3::MetadataMatcher& out, const std::vector<std::string>& claims, const StringMatch& match) {
  out.set_filter("envoy.filters.http.jwt_authn");
  out.add_path()->set_key("payload");
  for (const std::string& claim : claims) out.add_path()->set_key(claim);
  auto& either = *out.mutable_value()->mutable_or_match();
  fill_string(*either.add_value_matchers()->mutable_list_match()->mutable_one_of()->mutable_string_match(), match);
  fill_string(*either.add_value_matchers()->mutable_string_match(), match);
}

void fill_headers(route_v3::RouteMatch& out, const model::HttpMatchRequest& match) {
  std::vector<route_v3::HeaderMatcher> headers;
  for (const auto& [name, value] : match.headers)
    if (const auto claims = model::claims_in(name)) fill_claim(*out.add_dynamic_metadata(), *claims, value);
    else headers.push_back(header(name, value));
  for (const auto& [name, value] : match.without_headers) {
    if (const auto claims = model::claims_in(name)) {
      fill_claim(*out.add_dynamic_metadata(), *claims, value);
      out.mutable_dynamic_metadata(out.dynamic_metadata_size() - 1)->set_invert(true);
      continue;
    }
    headers.push_back(header(name, value));
    headers.back().set_invert_match(true);
    if (!means_present(value)) headers.back().set_treat_missing_header_as_empty(true);
  }
  std::stable_sort(headers.begin(), headers.end(),
                   [](const auto& a, const auto& b) { return a.name() < b.name(); });
  if (match.method) headers.push_back(header(":method", *match.method));
  if (match.authority) headers.push_back(header(":authority", *match.authority));
  if (match.scheme) headers.push_back(header(":scheme", *match.scheme));
  for (auto& entry : headers) *out.add_headers() = std::move(entry);
}

void fill_path(route_v3::RouteMatch& out, const StringMatch& uri) {
  switch (uri.kind) {
    case StringMatch::Kind::kExact: out.set_path(uri.value); return;
    case StringMatch::Kind::kPrefix: out.set_prefix(uri.value); return;
    case StringMatch::Kind::kRegex: out.mutable_safe_regex()->set_regex(uri.value); return;
    case StringMatch::Kind::kPresent: return;
  }
}

}  // namespace

void fill_match(route_v3::RouteMatch& out, const model::HttpMatchRequest* match) {
  out.set_prefix("/");
  if (match == nullptr) return;
  fill_headers(out, *match);
  if (match->uri) fill_path(out, *match->uri);
  out.mutable_case_sensitive()->set_value(!match->ignore_uri_case);
  for (const auto& [name, value] : match->query_params) {
    auto& parameter = *out.add_query_parameters();
    parameter.set_name(name);
    if (means_present(value)) parameter.set_present_match(true);
    else fill_string(*parameter.mutable_string_match(), value);
  }
}

bool is_catch_all(const route_v3::Route& route) {
  const route_v3::RouteMatch& match = route.match();
  const bool any_path = match.prefix() == "/" || match.path_separated_prefix() == "/" || match.safe_regex().regex() == ".*";
  return any_path && match.headers_size() == 0 && match.query_parameters_size() == 0 && match.dynamic_metadata_size() == 0;
}

}  // namespace lateen::translate
