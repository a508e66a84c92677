#include "translate/dynamic_dns.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include "translate/names.h"
#include "translate/wire_message.h"

namespace lateen::translate {
namespace {

using DnsCacheConfig = envoy::extensions::common::dynamic_forward_proxy::v3::DnsCacheConfig;

// Fields of both filters' FilterConfig.
constexpr std::uint32_t kDnsCacheConfig = 1, kPortValue = 2;

}  // namespace

bool can_be_dynamic(const Service& service, const Port& port) {
  return is_wildcard(service.host) && (port.protocol == Protocol::kHttp || port.protocol == Protocol::kTls ||
                                       port.protocol == Protocol::kGrpc || port.protocol == Protocol::kHttp2);
}

void fill_dns_cache(DnsCacheConfig& out, const Service& service) {
  out.set_name(service.host + "_dfp_dns_cache");
  out.set_dns_lookup_family(envoy::config::cluster::v3::Cluster::V4_ONLY);
}

void fill_dynamic_filter(envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out, const Service& service) {
  DnsCacheConfig cache;
  fill_dns_cache(cache, service);
  out.set_name("envoy.filters.http.dynamic_forward_proxy");
  WireMessage("envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig").message(kDnsCacheConfig, cache).pack(*out.mutable_typed_config());
}

void fill_sni_dynamic_filter(envoy::config::listener::v3::Filter& out, const Service& service, std::uint32_t port) {
  DnsCacheConfig cache;
  fill_dns_cache(cache, service);
  out.set_name("envoy.extensions.filters.network.sni_dynamic_forward_proxy");
  WireMessage("envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig")
      .message(kDnsCacheConfig, cache)
      .number(kPortValue, port)
      .pack(*out.mutable_typed_config());
}

}  // namespace lateen::translate
