// Reading Istio's MeshConfig: the fields that matter to routing. Others are refused or skipped by the table.
#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/read.h"
#include "text/yaml.h"

namespace lateen::model {

namespace {

struct OutboundTrafficPolicy {
  std::string mode;
};
struct PathNormalization {
  std::string normalization;
};

void outbound_mode(Reader& reader, const std::string& value) {
  if (value != "ALLOW_ANY" && value != "REGISTRY_ONLY") reader.error(kBadValue, "\"" + value + "\" is not one of ALLOW_ANY, REGISTRY_ONLY");
}

void normalization_word(Reader& reader, const std::string& value) {
  if (value != "DEFAULT" && value != "NONE" && value != "BASE" && value != "MERGE_SLASHES" && value != "DECODE_AND_MERGE_SLASHES")
    reader.error(kBadValue, "\"" + value + "\" is not one of DEFAULT, NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES");
}

}  // namespace

template <>
struct Shape<OutboundTrafficPolicy> : Table<OutboundTrafficPolicy> {
  static constexpr Field<OutboundTrafficPolicy> kFields[] = {{"mode", at<&OutboundTrafficPolicy::mode, outbound_mode>}};
};
template <>
struct Shape<PathNormalization> : Table<PathNormalization> {
  static constexpr Field<PathNormalization> kFields[] = {{"normalization", at<&PathNormalization::normalization, normalization_word>}};
};

template <>
struct Words<ConnectionSettings::Profile> {
  using E = ConnectionSettings::Profile;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"SIDECAR", E::kSidecar}, {"EDGE", E::kEdge}};
};
template <>
struct Words<ConnectionSettings::EscapedSlashes> {
  using E = ConnectionSettings::EscapedSlashes;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"KEEP_UNCHANGED", E::kKeepUnchanged}, {"REJECT_REQUEST", E::kRejectRequest},
                                                              {"UNESCAPE_AND_REDIRECT", E::kUnescapeAndRedirect},
                                                              {"UNESCAPE_AND_FORWARD", E::kUnescapeAndForward}};
};
template <>
struct Words<ConnectionSettings::Underscores> {
  using E = ConnectionSettings::Underscores;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"HEADERS_WITH_UNDERSCORES_ALLOW", E::kAllow},
                                                              {"HEADERS_WITH_UNDERSCORES_REJECT_REQUEST", E::kRejectRequest},
                                                              {"HEADERS_WITH_UNDERSCORES_DROP_HEADER", E::kDropHeader}};
};
// What is not in this table is not carried out, and refused.
template <>
struct Shape<ConnectionSettings> : Table<ConnectionSettings> {
  using S = ConnectionSettings;
  static constexpr Field<S> kFields[] = {{"profile", at<&S::profile>},
                                         {"httpIdleTimeout", at<&S::http_idle_timeout, at_least_1ms>},
                                         {"httpRequestTimeout", at<&S::http_request_timeout, at_least_1ms>},
                                         {"httpRequestHeadersTimeout", at<&S::http_request_headers_timeout, at_least_1ms>},
                                         {"httpStreamIdleTimeout", at<&S::http_stream_idle_timeout, at_least_1ms>},
                                         {"httpMergeSlashes", at<&S::http_merge_slashes>},
                                         {"httpPathWithEscapedSlashesAction", at<&S::http_path_with_escaped_slashes_action>},
                                         {"httpHeadersWithUnderscoresAction", at<&S::http_headers_with_underscores_action>}};
};

template <>
struct Shape<MeshConfig> : Table<MeshConfig> {
  // The rest of defaultConfig sets up Istio's own proxies: it does not change routing.
  static void default_config(Reader& reader, const text::Node& node, MeshConfig& out) {
    if (const text::Node* settings = node.find("connectionSettings")) read_value(reader, *settings, out.connection_settings);
  }
  static void outbound(Reader& reader, const text::Node& node, MeshConfig& out) {
    OutboundTrafficPolicy policy;
    if (read_value(reader, node, policy) && !policy.mode.empty()) out.allow_any_outbound = policy.mode == "ALLOW_ANY";
  }
  static void normalization(Reader& reader, const text::Node& node, MeshConfig& out) {
    PathNormalization read;
    if (read_value(reader, node, read) && !read.normalization.empty()) out.path_normalization = read.normalization;
  }
  static void retries(Reader& reader, const text::Node& node, MeshConfig& out) {
    HttpRetry retry;
    if (read_retry(reader, node, retry)) out.default_http_retry_policy = retry;
  }
  static constexpr Field<MeshConfig> kFields[] = {{"outboundTrafficPolicy", outbound},
                                                  {"rootNamespace", at<&MeshConfig::root_namespace, namespace_name>},
                                                  {"trustDomain", at<&MeshConfig::trust_domain, not_empty>},
                                                  {"connectTimeout", at<&MeshConfig::connect_timeout, at_least_1ms>},
                                                  {"pathNormalization", normalization},
                                                  {"defaultHttpRetryPolicy", retries},
                                                  // Settings of Istio's own proxies and their logs: they do not change routing.
                                                  {"accessLogFile", skip},
                                                  {"accessLogFormat", skip},
                                                  {"accessLogEncoding", skip},
                                                  {"enableTracing", skip},
                                                  {"enablePrometheusMerge", skip},
                                                  {"enableAutoMtls", skip},
                                                  {"extensionProviders", skip},
                                                  {"defaultProviders", skip},
                                                  {"defaultConfig", default_config},
                                                  {"ingressService", skip},
                                                  {"ingressSelector", skip},
                                                  {"ingressClass", skip},
                                                  {"ingressControllerMode", skip},
                                                  {"dnsRefreshRate", skip},
                                                  {"proxyHttpPort", skip},
                                                  {"proxyListenPort", skip},
                                                  {"proxyInboundListenPort", skip}};
};

ReadMeshConfig read_mesh_config(std::string_view text, std::string_view file, const MeshConfig& base) {
  ReadMeshConfig result{base, {}};
  const text::YamlStream stream = text::read_yaml(text, file);
  for (const text::YamlBadDocument& bad : stream.bad)
    result.problems.push_back({std::string(kSyntax), Severity::kError, bad.error.origin, bad.error.message, ""});
  for (const text::YamlDocument& document : stream.documents) {
    Reader reader(file, "MeshConfig", Reader::Mode::kStrict);
    reader.start_at({document.root.line, document.root.column});
    MeshConfig config = result.config;
    if (read_value(reader, document.root, config)) result.config = std::move(config);
    std::vector<Diagnostic> problems = reader.take_problems();
    result.problems.insert(result.problems.end(), problems.begin(), problems.end());
  }
  return result;
}

}  // namespace lateen::model
