#include "xds/messages.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/util/json_util.h>

#include <limits>
#include <memory>
#include <vector>

#include "xds/types.h"

namespace lateen::xds {
namespace {

namespace pb = google::protobuf;
namespace routes = envoy::config::route::v3;

// The four resource types are found by name in the registry of linked messages: keep the linker from dropping them.
const pb::Descriptor* find_type(std::string_view type_url) {
  [[maybe_unused]] static const pb::Descriptor* const linked[] = {
      envoy::config::cluster::v3::Cluster::descriptor(),
      envoy::config::endpoint::v3::ClusterLoadAssignment::descriptor(),
      envoy::config::listener::v3::Listener::descriptor(), routes::RouteConfiguration::descriptor()};
  const std::size_t slash = type_url.rfind('/');
  const std::string name(slash == std::string_view::npos ? type_url : type_url.substr(slash + 1));
  return pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
}

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Fields that are younger than the compiled messages: their bytes are kept, their names are not known here.
bool has_unknown_fields(const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (has_unknown_fields(reflection.GetMessage(message, field))) return true;
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i)
      if (has_unknown_fields(reflection.GetRepeatedMessage(message, field, i))) return true;
  }
  return false;
}

}  // namespace

std::string serialize(const pb::Message& message) {
  std::string out;
  {
    pb::io::StringOutputStream stream(&out);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

ResourcePtr make_resource(std::string name, const pb::Message& message) {
  std::string bytes = serialize(message);
  const std::uint64_t hash = content_hash(bytes);
  return std::make_shared<const Resource>(Resource{std::move(name), std::move(bytes), hash});
}

void pack(const pb::Message& message, pb::Any& out) {
  out.set_type_url("type.googleapis.com/" + message.GetDescriptor()->full_name());
  out.set_value(serialize(message));
}

std::string route_configuration_bytes(const RouteConfigurationParts& parts) {
  // Protobuf fields may come in any order and repeated ones one by one: the whole is its parts put end to end.
  constexpr std::uint64_t kLengthDelimited = 2;
  constexpr std::uint64_t kTag = std::uint64_t{routes::RouteConfiguration::kVirtualHostsFieldNumber} << 3 | kLengthDelimited;
  std::string out = parts.shell ? parts.shell->bytes : std::string();
  for (const ResourcePtr& host : parts.virtual_hosts) {
    append_varint(out, kTag);
    append_varint(out, host->bytes.size());
    out += host->bytes;
  }
  return out;
}

Result<std::string> to_json(const pb::Message& message, JsonStyle style) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = style == JsonStyle::kIndented;
  std::string out;
  const pb::LogSilencer silence;   // a printer that gives up warns on standard error
  if (!has_unknown_fields(message) && pb::util::MessageToJsonString(message, &out, options).ok()) return out;
  // A field, or an Any with a message, that is not compiled in: the slower printer knows them all.
  return any_json(message.GetTypeName(), serialize(message), options.add_whitespace);
}

Result<std::string> resource_json(std::string_view type_url, std::string_view bytes, JsonStyle style) {
  const pb::Descriptor* type = find_type(type_url);
  if (type == nullptr) return any_json(type_url, bytes, style == JsonStyle::kIndented);
  const std::unique_ptr<pb::Message> message(pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(ErrorCode::kProtocol, "bytes are not a " + type->full_name());
  return to_json(*message, style);
}

}  // namespace lateen::xds
