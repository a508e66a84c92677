// Every message of Envoy's v3 API, not only those that are compiled in: for configuration that users write as JSON.
//
// Messages that are compiled in are generated classes; all others come from the descriptors of the API, which the
// program carries and looks at only when the first such message is asked for.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace google::protobuf {
class Any;
class Message;
}  // namespace google::protobuf

namespace lateen::xds {

enum class UnknownFields : std::uint8_t { kRefuse, kIgnore };

// Whether the type of "type.googleapis.com/NAME" (or NAME) exists.
bool is_known_type(std::string_view type_url);

// An empty message of the type, or null if there is none.
std::unique_ptr<google::protobuf::Message> new_message(std::string_view type_url);

// The message in the Any; null if its type is unknown or its bytes are not of it.
std::unique_ptr<google::protobuf::Message> unpack(const google::protobuf::Any& any);

// Protobuf JSON (either spelling of field names) over an empty message. Errors: kInvalidConfig with protobuf's words,
// which name the field.
Result<void> from_json(std::string_view json, google::protobuf::Message& out, UnknownFields unknown);

// The message `bytes` of the type as JSON with the proto's field names, whatever its Anys hold. Errors: kProtocol.
Result<std::string> any_json(std::string_view type_url, std::string_view bytes, bool indented);

}  // namespace lateen::xds
