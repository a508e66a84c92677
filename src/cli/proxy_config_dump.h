// Reads Envoy's dumps into messages; for the proxy_config_*.cc files only (protobuf headers are heavy).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

#include "base/result.h"
#include "envoy/admin/v3/config_dump.pb.h"

namespace lateen::cli {

Result<envoy::admin::v3::ConfigDump> parse_config_dump(std::string_view json);

// Every section of type `Section`, unpacked.
template <class Section>
std::vector<Section> sections(const envoy::admin::v3::ConfigDump& dump) {
  std::vector<Section> found;
  for (const auto& any : dump.configs())
    if (Section section; any.Is<Section>() && any.UnpackTo(&section)) found.push_back(std::move(section));
  return found;
}

Result<void> parse_message(std::string_view json, google::protobuf::Message& into);
// A list of the messages, as istioctl prints it: camel case, four blanks.
Result<std::string> list_json(const std::vector<const google::protobuf::Message*>& messages);

// filter_metadata.istio.config, ".../destination-rule/reviews-dr" -> "reviews-dr.default"; "" if there is none.
template <class Message>
std::string config_owner(const Message& message, std::string_view kind) {
  const auto& all = message.metadata().filter_metadata();
  const auto istio = all.find("istio");
  if (istio == all.end()) return {};
  const auto config = istio->second.fields().find("config");
  if (config == istio->second.fields().end()) return {};
  const std::string& path = config->second.string_value();
  const std::string in_namespaces = "/namespaces/";
  const std::size_t namespace_at = path.find(in_namespaces);
  const std::string marker = "/" + std::string(kind) + "/";
  const std::size_t kind_at = path.find(marker);
  if (namespace_at == std::string::npos || kind_at == std::string::npos) return {};
  const std::size_t begin = namespace_at + in_namespaces.size();
  return path.substr(kind_at + marker.size()) + "." + path.substr(begin, kind_at - begin);
}

}  // namespace lateen::cli
