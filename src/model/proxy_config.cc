// Reading ProxyConfig and WorkloadGroup: the field tables and what istiod's validation says about them.
#include "model/proxy_config.h"

#include "model/checks.h"
#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"

namespace lateen::model {

namespace {

struct ProxyImage {
  std::string image_type;
};
struct GroupMetadata {
  std::map<std::string, std::string> labels, annotations;
};
// A WorkloadEntry that may lack what its workload says when it registers.
struct GroupTemplate : WorkloadEntry {};

struct ProbeHeader {
  std::string name, value;
};
struct HttpProbe {
  std::string path, host, scheme;
  std::uint32_t port = 0;
  std::vector<ProbeHeader> headers;
};
struct TcpProbe {
  std::string host;
  std::uint32_t port = 0;
};
struct ExecProbe {
  std::vector<std::string> command;
};
// Read to be checked: agents beside the workloads probe, nobody else does.
struct ReadinessProbe {
  std::int32_t initial_delay_seconds = 0, timeout_seconds = 0, period_seconds = 0, success_threshold = 0, failure_threshold = 0;
  std::optional<HttpProbe> http_get;
  std::optional<TcpProbe> tcp_socket;
  std::optional<ExecProbe> exec;
};

void scheme_word(Reader& reader, const std::string& value) {
  if (!value.empty() && value != "HTTP" && value != "HTTPS") reader.error(kBadValue, "\"" + value + "\" is not one of HTTP, HTTPS");
}

void needs_port(Reader& reader, const text::Node& node) {
  if (!has(node, "port")) reader.error(kMissingField, "the probe has no port", "write port: 8080");
}

}  // namespace

template <>
struct Shape<ProxyImage> : Table<ProxyImage> {
  static constexpr Field<ProxyImage> kFields[] = {{"imageType", at<&ProxyImage::image_type>}};
};

template <>
struct Shape<ProxyConfig> : Table<ProxyConfig> {
  using T = ProxyConfig;
  static void selector(Reader& reader, const text::Node& node, T& out) {
    MatchLabels labels;
    out.has_selector = true;
    if (read_value(reader, node, labels)) out.selector = std::move(labels.labels);
  }
  static void image(Reader& reader, const text::Node& node, T& out) {
    ProxyImage read;
    if (read_value(reader, node, read)) out.image_type = std::move(read.image_type);
  }
  static constexpr Field<T> kFields[] = {{"selector", selector},
                                         {"concurrency", at<&T::concurrency, not_negative<std::int32_t>>},
                                         {"environmentVariables", at<&T::environment_variables>},
                                         {"image", image}};
};

template <>
struct Shape<ProbeHeader> : Table<ProbeHeader> {
  using T = ProbeHeader;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name, header_name>}, {"value", at<&T::value>}};
};
template <>
struct Shape<HttpProbe> : Table<HttpProbe> {
  using T = HttpProbe;
  static constexpr Field<T> kFields[] = {{"path", at<&T::path>},
                                         {"port", at<&T::port, port_number>},
                                         {"host", at<&T::host>},
                                         {"scheme", at<&T::scheme, scheme_word>},
                                         {"httpHeaders", at<&T::headers>}};
  static void check(Reader& reader, const T&, const text::Node& node) { needs_port(reader, node); }
};
template <>
struct Shape<TcpProbe> : Table<TcpProbe> {
  using T = TcpProbe;
  static constexpr Field<T> kFields[] = {{"host", at<&T::host>}, {"port", at<&T::port, port_number>}};
  static void check(Reader& reader, const T&, const text::Node& node) { needs_port(reader, node); }
};
template <>
struct Shape<ExecProbe> : Table<ExecProbe> {
  using T = ExecProbe;
  static constexpr Field<T> kFields[] = {{"command", at<&T::command>}};
  static void check(Reader& reader, const T& probe, const text::Node&) {
    if (probe.command.empty()) reader.error(kMissingField, "the probe has no command");
  }
};
template <>
struct Shape<ReadinessProbe> : Table<ReadinessProbe> {
  using T = ReadinessProbe;
  static void grpc(Reader& reader, const text::Node&, T&) {
    reader.error(kUnsupportedField, "Istio's validation takes no grpc probe", "write httpGet, tcpSocket or exec");
  }
  static constexpr Field<T> kFields[] = {{"initialDelaySeconds", at<&T::initial_delay_seconds, not_negative<std::int32_t>>},
                                         {"timeoutSeconds", at<&T::timeout_seconds, not_negative<std::int32_t>>},
                                         {"periodSeconds", at<&T::period_seconds, not_negative<std::int32_t>>},
                                         {"successThreshold", at<&T::success_threshold, not_negative<std::int32_t>>},
                                         {"failureThreshold", at<&T::failure_threshold, not_negative<std::int32_t>>},
                                         {"httpGet", at<&T::http_get>},
                                         {"tcpSocket", at<&T::tcp_socket>},
                                         {"exec", at<&T::exec>},
                                         {"grpc", grpc}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    const int methods = has(node, "httpGet") + has(node, "tcpSocket") + has(node, "exec") + has(node, "grpc");
    if (methods != 1) reader.error(methods == 0 ? kMissingField : kConflictingFields, "a probe has one of httpGet, tcpSocket and exec");
  }
};

template <>
struct Shape<GroupMetadata> : Table<GroupMetadata> {
  using T = GroupMetadata;
  static constexpr Field<T> kFields[] = {{"labels", at<&T::labels, selector_labels>}, {"annotations", at<&T::annotations>}};
};
template <>
struct Shape<GroupTemplate> : Table<GroupTemplate> {
  using T = WorkloadEntry;
  static constexpr Field<GroupTemplate> kFields[] = {{"address", at<&T::address>},
                                                     {"ports", at<&T::ports>},
                                                     {"labels", at<&T::labels>},
                                                     {"network", at<&T::network>},
                                                     {"locality", at<&T::locality>},
                                                     {"weight", at<&T::weight>},
                                                     {"serviceAccount", at<&T::service_account>}};
};

template <>
struct Shape<WorkloadGroup> : Table<WorkloadGroup> {
  using T = WorkloadGroup;
  static void metadata(Reader& reader, const text::Node& node, T& out) {
    GroupMetadata read;
    if (!read_value(reader, node, read)) return;
    out.labels = std::move(read.labels);
    out.annotations = std::move(read.annotations);
  }
  static void entry_template(Reader& reader, const text::Node& node, T& out) {
    GroupTemplate read;
    if (read_value(reader, node, read)) out.entry = std::move(read);
  }
  static void probe(Reader& reader, const text::Node& node, T&) {
    ReadinessProbe read;
    read_value(reader, node, read);
  }
  static constexpr Field<T> kFields[] = {{"metadata", metadata}, {"template", entry_template}, {"probe", probe}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    if (!has(node, "template")) reader.error(kMissingField, "the group has no template", "write template: {serviceAccount: default}");
  }
};

ProxyConfig read_proxy_config(Reader& reader, const text::Node& spec) {
  ProxyConfig config;
  read_value(reader, spec, config);
  return config;
}

WorkloadGroup read_workload_group(Reader& reader, const text::Node& spec) {
  WorkloadGroup group;
  read_value(reader, spec, group);
  return group;
}

}  // namespace lateen::model
