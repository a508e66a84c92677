// Between generated messages and the bytes and JSON that the rest of the program sees. The messages themselves are only
// declared here: whoever fills one includes its own *.pb.h, in a .cc file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "xds/resources.h"

namespace google::protobuf {
class Any;
class Message;
}  // namespace google::protobuf

namespace lateen::xds {

inline constexpr std::string_view kClusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
inline constexpr std::string_view kEndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
inline constexpr std::string_view kListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";
inline constexpr std::string_view kExtensionConfigType = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
inline constexpr std::string_view kRouteType = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

// The same bytes for the same message, whatever the order in which its map fields were filled.
std::string serialize(const google::protobuf::Message& message);

ResourcePtr make_resource(std::string name, const google::protobuf::Message& message);

// Like Any::PackFrom, but with deterministic bytes.
void pack(const google::protobuf::Message& message, google::protobuf::Any& out);

// The RouteConfiguration message of the parts, virtual hosts in their order.
std::string route_configuration_bytes(const RouteConfigurationParts& parts);

enum class JsonStyle : std::uint8_t { kCompact, kIndented };

// Protobuf JSON with the proto's field names (snake_case), as Envoy's admin port prints it. Errors: kProtocol when
// an Any holds a message that Envoy's API does not have.
Result<std::string> to_json(const google::protobuf::Message& message, JsonStyle style = JsonStyle::kCompact);

// The same for a serialised resource. `type_url` is one of the k...Type above, or any other message of Envoy's API.
// Errors: kProtocol when the type is unknown or the bytes do not parse.
Result<std::string> resource_json(std::string_view type_url, std::string_view bytes,
                                  JsonStyle style = JsonStyle::kCompact);

}  // namespace lateen::xds
