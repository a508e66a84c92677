#include "cli/proxy_config_dump.h"

#include <google/protobuf/util/json_util.h>

#include "cli/proxy_config.h"
#include "text/json.h"
#include "text/json_writer.h"
#include "text/yaml_writer.h"

namespace lateen::cli {

namespace util = google::protobuf::util;

Result<void> parse_message(std::string_view json, google::protobuf::Message& into) {
  util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer Envoy may know more
  const auto status = util::JsonStringToMessage(google::protobuf::StringPiece(json.data(), json.size()), &into, options);
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
