#include "cli/proxy_config_dump.h"

#include <google/protobuf/util/json_util.h>

#include "cli/proxy_config.h"
#include "text/json.h"
#include "text/json_writer.h"
#include "text/yaml_writer.h"

namespace lateen::cli {

namespace util = google::protobuf::util;

namespace {

bool is_known_type(std::string_view url) {
  const std::size_t slash = url.rfind('/');
  const std::string name(slash == std::string_view::npos ? url : url.substr(slash + 1));
  return google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name) != nullptr;
}

bool is_unknown_any(const text::Node& node) {
  const text::Node* type = node.find("@type");
  return type != nullptr && !is_known_type(type->text());
}

// Another Envoy has extensions that this program has not: what they are configured with is left out, the rest is read.
void drop_unknown(text::Node& node) {
  std::erase_if(node.members, [](const text::Member& member) { return is_unknown_any(member.value); });
  std::erase_if(node.items, is_unknown_any);
  for (text::Member& member : node.members) drop_unknown(member.value);
  for (text::Node& item : node.items) drop_unknown(item);
}

}  // namespace

Result<void> parse_message(std::string_view given, google::protobuf::Message& into) {
  auto node = text::read_json(given, "dump");
  if (!node) return fail(ErrorCode::kProtocol, "this is not Envoy's JSON: " + to_string(node.error()));
  drop_unknown(*node);
  std::string json;
  text::JsonWriter(json).node(*node);
  util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer Envoy may know more
  const auto status = util::JsonStringToMessage(json, &into, options);
  if (!status.ok()) return fail(ErrorCode::kProtocol, "this is not Envoy's JSON: " + status.ToString());
  return {};
}

Result<envoy::admin::v3::ConfigDump> parse_config_dump(std::string_view json) {
  envoy::admin::v3::ConfigDump dump;
  LATEEN_TRY_VOID(parse_message(json, dump));
  return dump;
}

Result<std::string> list_json(const std::vector<const google::protobuf::Message*>& messages) {
  std::string all = "[";
  for (const google::protobuf::Message* message : messages) {
    std::string one;
    if (const auto status = util::MessageToJsonString(*message, &one); !status.ok())
      return fail(ErrorCode::kProtocol, status.ToString());
    all += (all.size() > 1 ? "," : "") + one;
  }
  LATEEN_TRY(const text::Node node, text::read_json(all + "]", "dump"));
  std::string out;
  text::JsonWriter(out, 4).node(node);
  return out + "\n";
}

Result<std::string> json_to_yaml(std::string_view json) {
  LATEEN_TRY(const text::Node node, text::read_json(json, "dump"));
  return text::write_yaml(node);
}

std::string ejected_text(const EjectionState& state) {
  if (state.endpoints == 0) return "-";
  std::string text = std::to_string(state.ejected) + "/" + std::to_string(state.endpoints);
  if (state.ejected > 0) text += ", " + std::to_string((state.returns_in_ms + 999) / 1000) + " s left";
  return text;
}

}  // namespace lateen::cli
