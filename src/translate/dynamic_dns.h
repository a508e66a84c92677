// Services whose names are resolved request by request (ServiceEntry resolution DYNAMIC_DNS; Envoy's dynamic forward proxy).
#pragma once

#include <cstdint>

#include "translate/registry.h"

namespace envoy::config::listener::v3 {
class Filter;
}
namespace envoy::extensions::common::dynamic_forward_proxy::v3 {
class DnsCacheConfig;
}
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpFilter;
}

namespace lateen::translate {

// Whether requests on the port can say a name: by HTTP, or in the handshake of TLS.
bool can_be_dynamic(const Service& service, const Port& port);

// The same for the cluster and for the filters: they share it by its name.
void fill_dns_cache(envoy::extensions::common::dynamic_forward_proxy::v3::DnsCacheConfig& out, const Service& service);
// The filter that answers requests for names that can not be resolved.
void fill_dynamic_filter(envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out, const Service& service);
// The filter that sends a TLS connection to `port` of the name in its handshake.
void fill_sni_dynamic_filter(envoy::config::listener::v3::Filter& out, const Service& service, std::uint32_t port);

}  // namespace lateen::translate
