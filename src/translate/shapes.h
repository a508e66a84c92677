// Small shapes that many messages share.
#pragma once

#include <string_view>

#include "base/time.h"

namespace google::protobuf {
class Any;
class Duration;
class Struct;
}
namespace envoy::config::core::v3 {
class ConfigSource;
class Metadata;
}
namespace lateen::model {
struct Object;
}

namespace lateen::translate {

void set_duration(google::protobuf::Duration& out, Duration value);
// "ask the same ADS stream", as istiod writes it.
void set_ads(envoy::config::core::v3::ConfigSource& out);
// metadata.filter_metadata.istio.config = the object's path.
void set_config(envoy::config::core::v3::Metadata& out, const model::Object& object);
// A message whose class is not compiled in, as protobuf JSON of our own making.
void pack_json(std::string_view type, std::string_view json, google::protobuf::Any& out);

}  // namespace lateen::translate
