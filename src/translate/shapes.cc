#include "translate/shapes.h"

#include <envoy/config/core/v3/config_source.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>

#include "base/result.h"
#include "translate/names.h"
#include "xds/messages.h"
#include "xds/types.h"

namespace lateen::translate {

void set_duration(google::protobuf::Duration& out, Duration value) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<std::int32_t>((value - seconds).count()));
}

void set_ads(envoy::config::core::v3::ConfigSource& out) {
  out.mutable_ads();
  out.mutable_initial_fetch_timeout();
  out.set_resource_api_version(envoy::config::core::v3::V3);
}

void set_config(envoy::config::core::v3::Metadata& out, const model::Object& object) {
  auto& istio = (*out.mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["config"].set_string_value(config_path(object));
}

void pack_json(std::string_view type, std::string_view json, google::protobuf::Any& out) {
  const auto message = xds::new_message(type);
  LATEEN_CHECK(message != nullptr);
  LATEEN_CHECK(xds::from_json(json, *message, xds::UnknownFields::kRefuse).has_value());
  xds::pack(*message, out);
}

}  // namespace lateen::translate
