// Header operations of routes, and what a route does to the request's line: rewrites, redirects. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "runtime/decide.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// Carries out one list. Values with operators are evaluated in `context`; an empty result adds nothing, as in Envoy.
void apply(const CompactList<runtime::HeaderOperation>& operations, const runtime::HeaderContext& context,
           http::HeaderMap& headers);

// All levels of a request's route, the most specific first (Envoy's default order): weighted cluster, route, virtual
// host, route table. Host and :authority among the operations rewrite the authority.
void apply_request_operations(const runtime::Decision& decision, const runtime::RouteTable& table,
                              const runtime::HeaderContext& context, http::RequestHead& head, std::string& authority_storage);
// The same for a response; `decision.cluster` may be null (redirects, direct responses).
void apply_response_operations(const runtime::Decision& decision, const runtime::RouteTable& table,
                               const runtime::HeaderContext& context, http::HeaderMap& headers);

// Another authority: the one before is kept as x-envoy-original-host, and with `append_forwarded` at the end of
// x-forwarded-host unless it stands there already (Envoy). `storage` must live as long as the head. Without `keep_original`
// (suppress_envoy_headers) there is no x-envoy-original-host.
void set_authority(std::string host, bool append_forwarded, http::RequestHead& head, std::string& storage, bool keep_original);

// Path and authority as the route wants them upstream; the storages must live as long as the head. The path as it was
// is added as x-envoy-original-path, with `keep_original`. Rewrite::host_from_endpoint is for set_authority(), when there is an endpoint.
void apply_rewrite(const runtime::Route& route, const runtime::Rewrite& rewrite, std::string_view cluster_host_rewrite,
                   http::RequestHead& head, std::string& path_storage, std::string& authority_storage, bool keep_original);

// The Location of a redirect.
std::string redirect_location(const runtime::Route& route, const runtime::Redirect& redirect,
                              const http::RequestHead& head);

}  // namespace lateen::proxy
