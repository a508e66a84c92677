// Istio's names: hosts and how they match, clusters, the path of an object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"

namespace lateen::translate {

// "outbound|9080|v1|reviews.default.svc.cluster.local".
std::string cluster_name(std::string_view direction, std::uint32_t port, std::string_view subset, std::string_view host);
std::string outbound_cluster(std::uint32_t port, std::string_view subset, std::string_view host);
// "outbound_.9080_.v1_.reviews.default.svc.cluster.local": the SNI of mTLS between sidecars.
std::string mtls_sni(std::uint32_t port, std::string_view subset, std::string_view host);

// A host without a dot is a service of `namespace_` ("reviews" -> "reviews.default.svc.cluster.local"); others, and
// wildcards, stay as they are.
std::string resolve_host(std::string_view host, std::string_view namespace_, std::string_view cluster_domain);

std::string lower(std::string_view text);
bool is_wildcard(std::string_view host);   // "*", "*.example.com"
bool is_ip(std::string_view text);

// Whether the two hosts have a name in common, either being a wildcard or not.
bool hosts_match(std::string_view one, std::string_view other);
// Whether every name of `inner` is one of `outer`.
bool host_within(std::string_view inner, std::string_view outer);
// More specific first: hosts before wildcards, longer wildcards before shorter, then by text.
bool more_specific(std::string_view one, std::string_view other);

// "default/gw" for a gateway that a VirtualService of `namespace_` names; "mesh" stays.
std::string gateway_key(std::string_view gateway, std::string_view namespace_);

// "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews", as in metadata.filter_metadata.istio.
std::string config_path(const model::Object& object);

// exportTo: whether an object of `namespace_` with this list can be seen from `client`. An empty list is "*".
bool exported(const std::vector<std::string>& export_to, std::string_view namespace_, std::string_view client);

// Whether the workload's labels have all of `selector`; an empty selector selects everything.
bool selects(const std::map<std::string, std::string>& selector, const std::map<std::string, std::string>& labels);

std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace lateen::translate
