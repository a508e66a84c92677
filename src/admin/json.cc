#include "admin/json.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>

namespace lateen::admin {

namespace {

using Columns = std::vector<std::pair<std::string, std::string>>;

// ["a","b"], as kubectl prints lists of Istio's kinds.
std::string list_text(const std::vector<std::string>& values) {
  std::string text;
  text::JsonWriter json(text);
  json.begin_array();
  for (const std::string& value : values) json.string(value);
  json.end_array();
  return text;
}

std::string or_dash(std::string text, std::string_view otherwise = "<none>") {
  return text.empty() ? std::string(otherwise) : text;
}

std::string port_list(const std::vector<model::ServicePort>& ports) {
  std::string text;
  for (const model::ServicePort& port : ports) text += (text.empty() ? "" : ",") + std::to_string(port.number) + "/TCP";
  return text;
}

Columns columns_of(const model::VirtualService& spec) {
  return {{"GATEWAYS", spec.gateways.empty() ? "" : list_text(spec.gateways)}, {"HOSTS", list_text(spec.hosts)}};
}
Columns columns_of(const model::DestinationRule& spec) { return {{"HOST", spec.host}}; }
Columns columns_of(const model::Gateway&) { return {}; }
Columns columns_of(const model::ServiceEntry& spec) {
  constexpr std::string_view kResolutions[] = {"NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"};
  return {{"HOSTS", list_text(spec.hosts)},
          {"LOCATION", spec.location == model::ServiceEntry::Location::kMeshInternal ? "MESH_INTERNAL" : ""},
          {"RESOLUTION", std::string(kResolutions[static_cast<std::size_t>(spec.resolution)])}};
}
Columns columns_of(const model::WorkloadEntry& spec) { return {{"ADDRESS", spec.address}}; }
Columns columns_of(const model::Service& spec) {
  return {{"TYPE", spec.type.empty() ? "ClusterIP" : spec.type},
          {"CLUSTER-IP", or_dash(spec.cluster_ip)},
          {"EXTERNAL-IP", or_dash(spec.external_name)},
          {"PORT(S)", or_dash(port_list(spec.ports))}};
}
Columns columns_of(const model::EndpointSlice& spec) {
  std::string ports, endpoints;
  for (const auto& port : spec.ports) ports += (ports.empty() ? "" : ",") + std::to_string(port.port);
  for (const auto& endpoint : spec.endpoints)
    for (const std::string& address : endpoint.addresses) endpoints += (endpoints.empty() ? "" : ",") + address;
  return {{"ADDRESSTYPE", "IPv4"}, {"PORTS", or_dash(ports)}, {"ENDPOINTS", or_dash(endpoints)}};
}
Columns columns_of(const model::Pod& spec) {
  return {{"READY", spec.ready ? "1/1" : "0/1"}, {"PHASE", or_dash(spec.phase, "Running")}, {"IP", or_dash(spec.ip)}};
}
Columns columns_of(const model::Namespace&) { return {}; }
Columns columns_of(const model::Sidecar&) { return {}; }
Columns columns_of(const model::EnvoyFilter&) { return {}; }
Columns columns_of(const model::ProxyConfig&) { return {}; }
Columns columns_of(const model::WorkloadGroup&) { return {}; }
Columns columns_of(const model::Secret& spec) {
  return {{"TYPE", spec.type}, {"DATA", std::to_string(spec.data.size())}};
}

std::string_view word(Severity severity) {
  switch (severity) {
    case Severity::kInfo: return "info";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return "error";
}

std::string_view word(Source source) {
  switch (source) {
    case Source::kFile: return "file";
    case Source::kApplied: return "applied";
    case Source::kRegistered: return "registered";
  }
  return "file";
}

void write_names(text::JsonWriter& json, const model::Key& key) {
  json.member("kind", model::names(key.kind).name)
      .member("resource", resource_name(key.kind))
      .member("namespace", key.namespace_)
      .member("name", key.name);
}

}  // namespace

std::string_view words(admit::Standing standing) {
  switch (standing) {
    case admit::Standing::kInEffect: return "in effect";
    case admit::Standing::kNotInEffect: return "NOT IN EFFECT";
    case admit::Standing::kPending: return "pending";
    case admit::Standing::kRefused: return "refused";
  }
  return "refused";
}

std::string resource_name(model::Kind kind) {
  const model::KindNames& names = model::names(kind);
  std::string text(names.name);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  if (!names.api_group.empty()) text.append(".").append(names.api_group);
  return text;
}

void write(text::JsonWriter& json, const Diagnostic& diagnostic) {
  json.begin_object()
      .member("code", diagnostic.code)
      .member("severity", word(diagnostic.severity))
      .member("file", diagnostic.origin.file)
      .member("line", diagnostic.origin.line)
      .member("column", diagnostic.origin.column)
      .member("object", diagnostic.origin.object)
      .member("field", diagnostic.origin.field_path)
      .member("message", diagnostic.message)
      .member("fix", diagnostic.fix)
      .end_object();
}

void write(text::JsonWriter& json, const std::vector<Diagnostic>& diagnostics) {
  json.begin_array();
  for (const Diagnostic& diagnostic : diagnostics) write(json, diagnostic);
  json.end_array();
}

void write(text::JsonWriter& json, const admit::Status& status) {
  json.begin_object()
      .member("standing", words(status.standing))
      .member("reason", status.reason)
      .member("because_of", to_string(status.because_of))
      .member("last_good_serves", status.last_good_serves)
      .end_object();
}

void write(text::JsonWriter& json, const ObjectOutcome& outcome) {
  json.begin_object();
  write_names(json, outcome.key);
  json.member("action", outcome.action).member("reason", outcome.reason).key("status");
  write(json, outcome.status);
  json.end_object();
}

void write(text::JsonWriter& json, const ObjectPage& page, WallTime now, WithText with_text) {
  const model::Object& object = *page.object;
  const Origin origin = object.origin();
  json.begin_object();
  write_names(json, object.key());
  json.member("api_version", object.api_version)
      .member("source", word(page.source))
      .member("file", object.file)
      .member("line", origin.line);
  if (object.meta.created) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *object.meta.created).count();
    json.member("created", format_time(*object.meta.created)).member("age_seconds", static_cast<std::int64_t>(age));
  }
  json.key("columns").begin_array();
  for (const auto& [name, value] : std::visit([](const auto& spec) { return columns_of(spec); }, object.spec))
    json.begin_array().string(name).string(value).end_array();
  json.end_array().key("status");
  write(json, page.status);
  if (with_text == WithText::kYes) json.member("text", object.yaml);
  json.end_object();
}

std::string format_time(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time - whole).count();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(milliseconds));
  return text;
}

}  // namespace lateen::admin
