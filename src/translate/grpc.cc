#include "translate/grpc.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include <string>

#include "translate/names.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
namespace listener_v3 = envoy::config::listener::v3;

template <class Config>
void add_filter(hcm_v3::HttpConnectionManager& out, const char* name, const Config& config) {
  auto& filter = *out.add_http_filters();
  filter.set_name(name);
  xds::pack(config, *filter.mutable_typed_config());
}

listener_v3::Listener listener_of(const Service& service, const Port& port) {
  listener_v3::Listener out;
  const std::string number = std::to_string(port.number);
  out.set_name(service.host + ":" + number);
  out.mutable_address()->mutable_socket_address()->set_address(service.listen_address());
  out.mutable_address()->mutable_socket_address()->set_port_value(port.number);
  for (std::size_t i = 1; i < service.addresses.size(); ++i) {
    auto& more = *out.add_additional_addresses()->mutable_address()->mutable_socket_address();
    more.set_address(service.addresses[i]);
    more.set_port_value(port.number);
  }
  hcm_v3::HttpConnectionManager manager;
  manager.mutable_rds()->set_route_config_name(outbound_cluster(port.number, "", service.host));
  manager.mutable_rds()->mutable_config_source()->mutable_ads();
  add_filter(manager, "envoy.filters.http.fault", envoy::extensions::filters::http::fault::v3::HTTPFault{});
  add_filter(manager, "envoy.filters.http.router", envoy::extensions::filters::http::router::v3::Router{});
  xds::pack(manager, *out.mutable_api_listener()->mutable_api_listener());
  return out;
}

}  // namespace

void add_grpc_listeners(const Scope& scope, xds::Resources& out) {
  for (const auto& [host, service] : scope.services)
    for (const Port& port : service->ports) {
      const listener_v3::Listener listener = listener_of(*service, port);
      out.listeners.insert_or_assign(listener.name(), xds::make_resource(listener.name(), listener));
    }
}

}  // namespace lateen::translate
