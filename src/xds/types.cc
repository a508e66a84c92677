#include "xds/types.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <cstdint>

#include "xds/type_descriptors.h"

namespace lateen::xds {
namespace {

namespace pb = google::protobuf;
constexpr std::string_view kPrefix = "type.googleapis.com";

// A FileDescriptorSet is nothing but its files end to end, each behind its tag and length: the database takes their
// bytes where they lie.
void add_files(pb::EncodedDescriptorDatabase& database, std::string_view set) {
  constexpr std::uint32_t kFileTag = 1 << 3 | 2;
  pb::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(set.data()), static_cast<int>(set.size()));
  while (in.ReadTag() == kFileTag) {
    std::uint32_t size = 0;
    LATEEN_CHECK(in.ReadVarint32(&size));
    LATEEN_CHECK(database.Add(set.data() + in.CurrentPosition(), static_cast<int>(size)));
    LATEEN_CHECK(in.Skip(static_cast<int>(size)));
  }
  LATEEN_CHECK(in.CurrentPosition() == static_cast<int>(set.size()));
}

// Lives to the end of the program: messages that it made refer to it.
class Types {
 public:
  Types() : pool_(&files_) {
    add_files(files_, type_descriptors());
    resolver_.reset(pb::util::NewTypeResolverForDescriptorPool(std::string(kPrefix), &pool_));
  }
  const pb::Descriptor* find(const std::string& name) const { return pool_.FindMessageTypeByName(name); }
  std::unique_ptr<pb::Message> make(const pb::Descriptor* type) {
    return std::unique_ptr<pb::Message>(factory_.GetPrototype(type)->New());
  }
  pb::util::TypeResolver* resolver() { return resolver_.get(); }

 private:
  pb::EncodedDescriptorDatabase files_;
  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_;
  std::unique_ptr<pb::util::TypeResolver> resolver_;
};

Types& types() {
  static Types& all = *new Types;  // never destroyed: threads may still hold messages when the program ends
  return all;
}

std::string name_of(std::string_view type_url) {
  const std::size_t slash = type_url.rfind('/');
  return std::string(slash == std::string_view::npos ? type_url : type_url.substr(slash + 1));
}

const pb::Descriptor* find_generated(const std::string& name) {
  return pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
}

std::string with_prefix(const std::string& name) { return std::string(kPrefix) + "/" + name; }

}  // namespace

bool is_known_type(std::string_view type_url) {
  const std::string name = name_of(type_url);
  return find_generated(name) != nullptr || types().find(name) != nullptr;
}

std::unique_ptr<pb::Message> new_message(std::string_view type_url) {
  const std::string name = name_of(type_url);
  if (const pb::Descriptor* type = find_generated(name))
    return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
  const pb::Descriptor* type = types().find(name);
  return type == nullptr ? nullptr : types().make(type);
}

std::unique_ptr<pb::Message> unpack(const pb::Any& any) {
  std::unique_ptr<pb::Message> message = new_message(any.type_url());
  if (message == nullptr || !message->ParseFromString(any.value())) return nullptr;
  return message;
}

Result<void> from_json(std::string_view json, pb::Message& out, UnknownFields unknown) {
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = unknown == UnknownFields::kIgnore;
  std::string bytes;
  const auto status = pb::util::JsonToBinaryString(types().resolver(), with_prefix(out.GetDescriptor()->full_name()),
                                                   std::string(json), &bytes, options);
  if (!status.ok()) return fail(ErrorCode::kInvalidConfig, std::string(status.message()));
  if (!out.ParseFromString(bytes)) return fail(ErrorCode::kInvalidConfig, "is no " + out.GetTypeName());
  return {};
}

Result<std::string> any_json(std::string_view type_url, std::string_view bytes, bool indented) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = indented;
  std::string out;
  const std::string name = name_of(type_url);
  if (types().find(name) == nullptr) return fail(ErrorCode::kProtocol, "unknown message type " + name);
  const auto status = pb::util::BinaryToJsonString(types().resolver(), with_prefix(name), std::string(bytes), &out, options);
  if (!status.ok()) return fail(ErrorCode::kProtocol, name + ": " + status.ToString());
  return out;
}

}  // namespace lateen::xds
