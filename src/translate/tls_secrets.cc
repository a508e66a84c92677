#include "translate/tls_secrets.h"

#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

namespace lateen::translate {

namespace core_v3 = envoy::config::core::v3;

void set_secret(envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& out, const std::string& name, SecretWait wait) {
  out.set_name(name);
  auto& source = *out.mutable_sds_config();
  auto& api = *source.mutable_api_config_source();
  api.set_api_type(core_v3::ApiConfigSource::GRPC);
  api.set_set_node_on_first_message_only(true);
  api.set_transport_api_version(core_v3::V3);
  api.add_grpc_services()->mutable_envoy_grpc()->set_cluster_name("sds-grpc");
  source.set_resource_api_version(core_v3::V3);
  if (wait == SecretWait::kYes) source.mutable_initial_fetch_timeout();
}

}  // namespace lateen::translate
