#include <google/protobuf/util/time_util.h>

#include "admin/envoy_dump.h"
#include "envoy/admin/v3/config_dump.pb.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "xds/messages.h"

namespace lateen::admin {

namespace {

namespace pb = google::protobuf;

pb::Timestamp timestamp(WallTime time) {
  return pb::util::TimeUtil::NanosecondsToTimestamp(time.time_since_epoch().count());
}

void set_any(pb::Any& any, std::string_view type, const std::string& bytes) {
  any.set_type_url(std::string(type));
  any.set_value(bytes);
}

// One dump of the page; what the sections share.
class Dump {
 public:
  Dump(const ViewPage& view, const ServerFacts& facts)
      : view_(view), facts_(facts), resources_(view.translation->resources), updated_(timestamp(view.updated)),
        version_(std::to_string(view.version)) {}

  Result<std::string> run(IncludeEndpoints endpoints) {
    add(bootstrap());
    add(clusters());
    if (endpoints == IncludeEndpoints::kYes) add(endpoint_assignments());
    add(listeners());
    add(envoy::admin::v3::ScopedRoutesConfigDump{});
    add(routes());
    add(envoy::admin::v3::SecretsConfigDump{});
    return xds::to_json(dump_, xds::JsonStyle::kIndented);
  }

 private:
  void add(const pb::Message& section) { xds::pack(section, *dump_.add_configs()); }

  envoy::admin::v3::BootstrapConfigDump bootstrap() const {
    envoy::admin::v3::BootstrapConfigDump section;
    auto& node = *section.mutable_bootstrap()->mutable_node();
    node.set_id("sidecar~127.0.0.1~" + (view_.view.name.empty() ? "default" : view_.view.name) + "." +
                view_.view.namespace_ + "~" + view_.view.namespace_ + ".svc.cluster.local");
    node.set_cluster(view_.view.name + "." + view_.view.namespace_);
    auto& metadata = *node.mutable_metadata()->mutable_fields();
    metadata["NAME"].set_string_value(view_.view.name);
    metadata["NAMESPACE"].set_string_value(view_.view.namespace_);
    metadata["LATEEN_VERSION"].set_string_value(facts_.version);
    auto& labels = *metadata["LABELS"].mutable_struct_value()->mutable_fields();
    for (const auto& [name, value] : view_.view.labels) labels[name].set_string_value(value);
    *section.mutable_last_updated() = timestamp(facts_.started);
    return section;
  }

  envoy::admin::v3::ClustersConfigDump clusters() const {
    envoy::admin::v3::ClustersConfigDump section;
    section.set_version_info(version_);
    for (const auto& [name, resource] : resources_.clusters) {
      auto& entry = *section.add_dynamic_active_clusters();
      entry.set_version_info(version_);
      set_any(*entry.mutable_cluster(), xds::kClusterType, resource->bytes);
      *entry.mutable_last_updated() = updated_;
    }
    return section;
  }

  envoy::admin::v3::EndpointsConfigDump endpoint_assignments() const {
    envoy::admin::v3::EndpointsConfigDump section;
    for (const auto& [name, resource] : resources_.endpoints) {
      auto& entry = *section.add_dynamic_endpoint_configs();
      entry.set_version_info(version_);
      set_any(*entry.mutable_endpoint_config(), xds::kEndpointType, resource->bytes);
      *entry.mutable_last_updated() = updated_;
    }
    return section;
  }

  envoy::admin::v3::ListenersConfigDump listeners() const {
    envoy::admin::v3::ListenersConfigDump section;
    section.set_version_info(version_);
    for (const auto& [name, resource] : resources_.listeners) {
      auto& entry = *section.add_dynamic_listeners();
      entry.set_name(name);
      auto& state = *entry.mutable_active_state();
      state.set_version_info(version_);
      set_any(*state.mutable_listener(), xds::kListenerType, resource->bytes);
      *state.mutable_last_updated() = updated_;
    }
    return section;
  }

  envoy::admin::v3::RoutesConfigDump routes() const {
    envoy::admin::v3::RoutesConfigDump section;
    for (const auto& [name, parts] : resources_.routes) {
      auto& entry = *section.add_dynamic_route_configs();
      entry.set_version_info(version_);
      set_any(*entry.mutable_route_config(), xds::kRouteType, xds::route_configuration_bytes(parts));
      *entry.mutable_last_updated() = updated_;
    }
    return section;
  }

  const ViewPage& view_;
  const ServerFacts& facts_;
  const xds::Resources& resources_;
  pb::Timestamp updated_;
  std::string version_;
  envoy::admin::v3::ConfigDump dump_;
};

}  // namespace

Result<std::string> config_dump_json(const ViewPage& view, const ServerFacts& facts, IncludeEndpoints endpoints) {
  return Dump(view, facts).run(endpoints);
}

}  // namespace lateen::admin
