#include "proxy/header_mutation.h"

#include <optional>

#include "http/path.h"

namespace lateen::proxy {
namespace {

using Kind = runtime::HeaderOperation::Kind;

bool is_authority(std::string_view name) { return name == "host" || name == ":authority"; }

void apply_one(const runtime::HeaderOperation& operation, std::string_view value, http::HeaderMap& headers) {
  switch (operation.kind) {
    case Kind::kAppend:
      headers.add(operation.name, value);
      return;
    case Kind::kAddIfAbsent:
      if (headers.count(operation.name) == 0) headers.add(operation.name, value);
      return;
    case Kind::kOverwriteIfExists:
      if (headers.count(operation.name) != 0) headers.set(operation.name, value);
      return;
    case Kind::kOverwrite:
      headers.set(operation.name, value);
      return;
    case Kind::kRemove:
      headers.remove(operation.name);
      return;
  }
}

// Operations on Host act on the authority, which is no field of the map.
void apply_to_request(const CompactList<runtime::HeaderOperation>& operations, const runtime::HeaderContext& context,
                      http::RequestHead& head, std::string& authority_storage) {
  if (operations.empty()) return;
  apply(operations, context, head.headers);
  for (const runtime::HeaderOperation& operation : operations) {
    if (!is_authority(operation.name) || operation.kind == Kind::kRemove) continue;
    std::string value;
    operation.value.evaluate(context, value);
    if (value.empty()) continue;
    authority_storage = std::move(value);
    head.authority = authority_storage;
  }
}

// What of the path the route's match looked at, to be replaced by a prefix rewrite.
std::size_t matched_bytes(const runtime::RouteMatch& match, std::string_view path) {
  using PathKind = runtime::RouteMatch::PathKind;
  switch (match.path_kind) {
    case PathKind::kPrefix:
    case PathKind::kSeparatedPrefix:
      return std::min(match.path.size(), path.size());
    case PathKind::kExact:
    case PathKind::kRegex:
      break;
  }
  return path.size();
}

// What the route says the authority is to be; "": as it is. The route's own wins over the weighted cluster's.
std::string rewritten_host(const runtime::Rewrite& rewrite, std::string_view cluster_host_rewrite, const http::RequestHead& head) {
  if (!rewrite.host.empty()) return rewrite.host.str();
  if (!rewrite.host_from_header.empty()) return std::string(head.headers.get(rewrite.host_from_header).value_or(""));
  if (rewrite.host_from_path != nullptr) {
    std::string host;
    rewrite.host_from_path->substitute(http::split_query(head.path).path, rewrite.host_from_path_substitution, host);
    return host;
  }
  return std::string(cluster_host_rewrite);
}

// The last element of a comma-separated list.
std::string_view last_of(std::string_view list) {
  const std::size_t comma = list.rfind(',');
  if (comma != std::string_view::npos) list.remove_prefix(comma + 1);
  while (list.starts_with(' ')) list.remove_prefix(1);
  return list;
}

}  // namespace

void set_authority(std::string host, bool append_forwarded, http::RequestHead& head, std::string& storage, bool keep_original) {
  using http::HeaderId;
  if (append_forwarded && !head.authority.empty()) {
    const std::string_view before = head.headers.get(HeaderId::kXForwardedHost).value_or("");
    if (before.empty()) {
      head.headers.set(HeaderId::kXForwardedHost, head.authority);
    } else if (last_of(before) != head.authority) {
      head.headers.set(HeaderId::kXForwardedHost, std::string(before) + "," + std::string(head.authority));
    }
  }
  if (keep_original) head.headers.set("x-envoy-original-host", head.authority);
  storage = std::move(host);   // may have held the authority of before: it has been read
  head.authority = storage;
}

void apply(const CompactList<runtime::HeaderOperation>& operations, const runtime::HeaderContext& context,
           http::HeaderMap& headers) {
  for (const runtime::HeaderOperation& operation : operations) {
    if (is_authority(operation.name)) continue;
    if (operation.kind == Kind::kRemove) {
      headers.remove(operation.name);
      continue;
    }
    if (operation.value.is_literal()) {
      if (!operation.value.text().empty() || operation.keep_empty) apply_one(operation, operation.value.text(), headers);
      continue;
    }
    std::string value;
    operation.value.evaluate(context, value);
    if (!value.empty() || operation.keep_empty) apply_one(operation, value, headers);
  }
}

void apply_request_operations(const runtime::Decision& decision, const runtime::RouteTable& table,
                              const runtime::HeaderContext& context, http::RequestHead& head,
                              std::string& authority_storage) {
  if (decision.cluster != nullptr) apply_to_request(decision.cluster->request_headers, context, head, authority_storage);
  apply_to_request(decision.route->request_headers, context, head, authority_storage);
  apply_to_request(decision.virtual_host->request_headers, context, head, authority_storage);
  apply_to_request(table.request_headers, context, head, authority_storage);
}

void apply_response_operations(const runtime::Decision& decision, const runtime::RouteTable& table,
                               const runtime::HeaderContext& context, http::HeaderMap& headers) {
  if (decision.cluster != nullptr) apply(decision.cluster->response_headers, context, headers);
  apply(decision.route->response_headers, context, headers);
  apply(decision.virtual_host->response_headers, context, headers);
  apply(table.response_headers, context, headers);
}

void apply_rewrite(const runtime::Route& route, const runtime::Rewrite& rewrite, std::string_view cluster_host_rewrite,
                   http::RequestHead& head, std::string& path_storage, std::string& authority_storage, bool keep_original) {
  if (std::string host = rewritten_host(rewrite, cluster_host_rewrite, head); !host.empty()) {
    // Envoy applies the weighted cluster's first and the route's then; x-envoy-original-host is what was there before
    // the last of them.
    if (!rewrite.host.empty() && !cluster_host_rewrite.empty()) head.authority = cluster_host_rewrite;
    set_authority(std::move(host), rewrite.append_x_forwarded_host, head, authority_storage, keep_original);
  }
  const http::PathAndQuery target = http::split_query(head.path);
  std::string path;
  if (rewrite.regex != nullptr) {
    rewrite.regex->substitute(target.path, rewrite.regex_substitution, path);
  } else if (!rewrite.prefix.empty()) {
    path = rewrite.prefix;
    path += target.path.substr(matched_bytes(route.match, target.path));
  } else {
    return;
  }
  if (target.has_query) {
    path += '?';
    path += target.query;
  }
  if (keep_original) head.headers.set(http::HeaderId::kXEnvoyOriginalPath, head.path);
  path_storage = std::move(path);   // may have held the old path: it has been read
  head.path = path_storage;
}

std::string redirect_location(const runtime::Route& route, const runtime::Redirect& redirect,
                              const http::RequestHead& head) {
  const std::optional<http::Authority> asked = http::parse_authority(head.authority);
  std::string scheme(head.scheme);
  if (!redirect.scheme.empty()) scheme = redirect.scheme;
  if (redirect.https_redirect) scheme = "https";

  std::string host = redirect.host.str();
  if (host.empty()) host = asked ? std::string(asked->host) : std::string(head.authority);
  std::string port;
  if (redirect.port) {
    port = std::to_string(*redirect.port);
  } else if (redirect.host.empty() && asked && asked->port) {
    // Envoy drops the scheme's own port when the scheme changes.
    const bool changes = scheme != head.scheme;
    const bool own_port = (head.scheme == "http" && *asked->port == 80) || (head.scheme == "https" && *asked->port == 443);
    if (!changes || !own_port) port = std::to_string(*asked->port);
  }
  if ((scheme == "http" && port == "80") || (scheme == "https" && port == "443")) port.clear();

  const http::PathAndQuery target = http::split_query(head.path);
  std::string path(target.path);
  bool with_query = target.has_query && !redirect.strip_query;
  if (!redirect.path.empty()) {
    path = redirect.path;
    // A path with its own query replaces the client's.
    with_query = with_query && redirect.path.view().find('?') == std::string::npos;
  } else if (redirect.path_regex != nullptr) {
    path.clear();
    redirect.path_regex->substitute(target.path, redirect.path_regex_substitution, path);
  } else if (!redirect.prefix_rewrite.empty()) {
    path = redirect.prefix_rewrite + std::string(target.path.substr(matched_bytes(route.match, target.path)));
  }
  std::string location = scheme + "://" + host;
  if (!port.empty()) location += ":" + port;
  location += path;
  if (with_query) {
    location += '?';
    location += target.query;
  }
  return location;
}

}  // namespace lateen::proxy
