// Rules for names, as istiod checks them: DNS labels, host names, labels of Kubernetes, header names. Pure predicates.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lateen::model {

bool is_dns_label(std::string_view text);            // letters, digits, '-'; at most 63 bytes
bool is_lower_dns_label(std::string_view text);      // the same in lower case: names of namespaces and ports
bool is_dns_subdomain(std::string_view text);        // lower case labels with dots: names of objects
bool is_ip_address(std::string_view text);
bool is_ip_subnet(std::string_view text);            // an address, or address/bits
bool is_header_name(std::string_view text);          // letters, digits and most signs, as HTTP has it
bool is_label_key(std::string_view text);            // "app", "topology.kubernetes.io/zone"
bool is_label_value(std::string_view text);
bool is_unix_address(std::string_view text);         // unix:///run/x.sock, unix://@name

// What is wrong with a host name, or "". A fully qualified name may end in a dot.
std::string fqdn_problem(std::string_view host);
// The same, where the first label may be `*`, `*-name` or `*name`.
std::string wildcard_host_problem(std::string_view host);

// True if every name that `narrow` stands for is also one of `wide`; both may be wildcards.
bool host_covers(std::string_view wide, std::string_view narrow);

// The claim that a header name such as "@request.auth.claims.group.id" or "@request.auth.claims[group][id]" means, outer
// name first; nothing for the name of a header.
std::optional<std::vector<std::string>> claims_in(std::string_view header);

}  // namespace lateen::model
