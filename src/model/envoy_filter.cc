// Reading EnvoyFilter. What istiod refuses is refused here, but for the values of the patches: which message of Envoy
// they are is known where they are applied.
#include "model/envoy_filter.h"

#include <re2/re2.h>

#include "model/checks.h"
#include "model/common_shapes.h"
#include "model/kinds.h"
#include "text/json_writer.h"

namespace lateen::model {

namespace {

// istiod compiles no longer pattern, and matches no proxy with it.
constexpr std::size_t kMaxVersionPattern = 1024;

struct SubFilterMatch {
  std::string name;
};

struct Patch {
  PatchOperation operation = PatchOperation::kInvalid;
  EnvoyFilterPatch::FilterClass filter_class = EnvoyFilterPatch::FilterClass::kUnspecified;
  std::string value_json;
};

// Remembers where each field of a patch's value stands, for messages about it.
void remember_places(Reader& reader, const text::Node& node) {
  for (const text::Member& member : node.members) {
    const Reader::In in(reader, member);
    remember_places(reader, member.value);
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Reader::In in(reader, i, node.items[i]);
    remember_places(reader, node.items[i]);
  }
}

void version_pattern(Reader& reader, const std::string& value) {
  if (value.size() > kMaxVersionPattern) {
    reader.warn(kNoEffect, "the pattern is longer than 1024 bytes, and so it matches no proxy");
    return;
  }
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(value, options);
  if (!compiled.ok()) reader.error(kBadValue, "\"" + value + "\" is not a regular expression: " + compiled.error());
}

bool is_http_connection_manager(std::string_view name) {
  return name == "envoy.filters.network.http_connection_manager" || name == "envoy.http_connection_manager";
}

}  // namespace

template <>
struct Words<ApplyTo> {
  using E = ApplyTo;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"LISTENER", E::kListener}, {"FILTER_CHAIN", E::kFilterChain}, {"NETWORK_FILTER", E::kNetworkFilter},
      {"HTTP_FILTER", E::kHttpFilter}, {"ROUTE_CONFIGURATION", E::kRouteConfiguration}, {"VIRTUAL_HOST", E::kVirtualHost},
      {"HTTP_ROUTE", E::kHttpRoute}, {"CLUSTER", E::kCluster}, {"EXTENSION_CONFIG", E::kExtensionConfig},
      {"BOOTSTRAP", E::kBootstrap}, {"LISTENER_FILTER", E::kListenerFilter}, {"INVALID", E::kInvalid}};
};
template <>
struct Words<PatchContext> {
  using E = PatchContext;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"ANY", E::kAny},
                                                              {"SIDECAR_INBOUND", E::kSidecarInbound},
                                                              {"SIDECAR_OUTBOUND", E::kSidecarOutbound},
                                                              {"GATEWAY", E::kGateway},
                                                              {"WAYPOINT", E::kWaypoint}};
};
template <>
struct Words<PatchOperation> {
  using E = PatchOperation;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"MERGE", E::kMerge}, {"ADD", E::kAdd}, {"REMOVE", E::kRemove}, {"INSERT_BEFORE", E::kInsertBefore},
      {"INSERT_AFTER", E::kInsertAfter}, {"INSERT_FIRST", E::kInsertFirst}, {"REPLACE", E::kReplace},
      {"MERGE_AND_REPLACE_LIST", E::kMergeAndReplaceList}, {"INVALID", E::kInvalid}};
};
template <>
struct Words<EnvoyFilterPatch::FilterClass> {
  using E = EnvoyFilterPatch::FilterClass;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"UNSPECIFIED", E::kUnspecified}, {"AUTHN", E::kAuthn}, {"AUTHZ", E::kAuthz}, {"STATS", E::kStats}};
};
template <>
struct Words<EnvoyFilterMatch::Route::Action> {
  using E = EnvoyFilterMatch::Route::Action;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"ANY", E::kAny}, {"ROUTE", E::kRoute}, {"REDIRECT", E::kRedirect}, {"DIRECT_RESPONSE", E::kDirectResponse}};
};

template <>
struct Shape<EnvoyFilterMatch::Proxy> : Table<EnvoyFilterMatch::Proxy> {
  using T = EnvoyFilterMatch::Proxy;
  static constexpr Field<T> kFields[] = {{"proxyVersion", at<&T::proxy_version, version_pattern>}, {"metadata", at<&T::metadata>}};
};
template <>
struct Shape<SubFilterMatch> : Table<SubFilterMatch> {
  using T = SubFilterMatch;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}};
};
template <>
struct Shape<EnvoyFilterMatch::Filter> : Table<EnvoyFilterMatch::Filter> {
  using T = EnvoyFilterMatch::Filter;
  static void sub_filter(Reader& reader, const text::Node& node, T& out) {
    SubFilterMatch match;
    if (read_value(reader, node, match)) out.sub_filter = std::move(match.name);
  }
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}, {"subFilter", sub_filter}};
};
template <>
struct Shape<EnvoyFilterMatch::FilterChain> : Table<EnvoyFilterMatch::FilterChain> {
  using T = EnvoyFilterMatch::FilterChain;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>},
                                         {"sni", at<&T::sni>},
                                         {"transportProtocol", at<&T::transport_protocol>},
                                         {"applicationProtocols", at<&T::application_protocols>},
                                         {"filter", at<&T::filter>},
                                         {"destinationPort", at<&T::destination_port>}};
};
template <>
struct Shape<EnvoyFilterMatch::Listener> : Table<EnvoyFilterMatch::Listener> {
  using T = EnvoyFilterMatch::Listener;
  static constexpr Field<T> kFields[] = {{"portNumber", at<&T::port_number>},
                                         {"portName", at<&T::port_name>},
                                         {"filterChain", at<&T::filter_chain>},
                                         {"listenerFilter", at<&T::listener_filter>},
                                         {"name", at<&T::name>}};
};
template <>
struct Shape<EnvoyFilterMatch::Route> : Table<EnvoyFilterMatch::Route> {
  using T = EnvoyFilterMatch::Route;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}, {"action", at<&T::action>}};
};
template <>
struct Shape<EnvoyFilterMatch::VirtualHost> : Table<EnvoyFilterMatch::VirtualHost> {
  using T = EnvoyFilterMatch::VirtualHost;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}, {"domainName", at<&T::domain_name>}, {"route", at<&T::route>}};
};
template <>
struct Shape<EnvoyFilterMatch::RouteConfiguration> : Table<EnvoyFilterMatch::RouteConfiguration> {
  using T = EnvoyFilterMatch::RouteConfiguration;
  static constexpr Field<T> kFields[] = {{"portNumber", at<&T::port_number>},
                                         {"portName", at<&T::port_name>},
                                         {"gateway", at<&T::gateway>},
                                         {"vhost", at<&T::vhost>},
                                         {"name", at<&T::name>}};
};
template <>
struct Shape<EnvoyFilterMatch::Cluster> : Table<EnvoyFilterMatch::Cluster> {
  using T = EnvoyFilterMatch::Cluster;
  static constexpr Field<T> kFields[] = {{"portNumber", at<&T::port_number>},
                                         {"service", at<&T::service>},
                                         {"subset", at<&T::subset>},
                                         {"name", at<&T::name>}};
};

template <>
struct Shape<EnvoyFilterMatch> : Table<EnvoyFilterMatch> {
  using T = EnvoyFilterMatch;
  static constexpr Field<T> kFields[] = {{"context", at<&T::context>},
                                         {"proxy", at<&T::proxy>},
                                         {"listener", at<&T::listener>},
                                         {"routeConfiguration", at<&T::route_configuration>},
                                         {"cluster", at<&T::cluster>},
                                         {"waypoint", skip}};  // see the check of the patch
  static void check(Reader& reader, const T& match, const text::Node&) {
    const int kinds = (match.listener ? 1 : 0) + (match.route_configuration ? 1 : 0) + (match.cluster ? 1 : 0);
    if (kinds > 1) reader.error(kConflictingFields, "listener, routeConfiguration and cluster exclude each other", "leave one of them");
  }
};

template <>
struct Shape<Patch> : Table<Patch> {
  using T = Patch;
  static void value(Reader& reader, const text::Node& node, T& out) {
    if (!reader.expect(node, text::Node::Type::kMapping)) return;
    remember_places(reader, node);
    text::JsonWriter(out.value_json).node(node);
  }
  static constexpr Field<T> kFields[] = {{"operation", at<&T::operation>}, {"value", value}, {"filterClass", at<&T::filter_class>}};
};

template <>
struct Shape<EnvoyFilterPatch> : Table<EnvoyFilterPatch> {
  using T = EnvoyFilterPatch;
  static void patch(Reader& reader, const text::Node& node, T& out) {
    Patch patch;
    if (!read_value(reader, node, patch)) return;
    out.operation = patch.operation;
    out.filter_class = patch.filter_class;
    out.value_json = std::move(patch.value_json);
  }
  static constexpr Field<T> kFields[] = {{"applyTo", at<&T::apply_to>}, {"match", at<&T::match>}, {"patch", patch}};

  static void check(Reader& reader, const T& patch, const text::Node& node) {
    if (patch.match && patch.match->context == PatchContext::kWaypoint) {
      reader.warn(kNoEffect, "there are no waypoint proxies here");  // istiod looks no further either
      return;
    }
    if (patch.apply_to == ApplyTo::kInvalid) return reader.error_below("applyTo", kMissingField, "the patch does not say what it applies to");
    if (!has(node, "patch")) return reader.error(kMissingField, "there is no patch", "write patch: {operation: MERGE, value: {...}}");
    if (patch.operation == PatchOperation::kInvalid) return reader.error_below("patch.operation", kMissingField, "the patch has no operation");
    if (patch.operation != PatchOperation::kRemove && patch.value_json.empty())
      return reader.error_below("patch.value", kMissingField, "the patch has no value", "only REMOVE needs none");
    if (node.at({"match", "waypoint"}) != nullptr && patch.apply_to != ApplyTo::kExtensionConfig)
      return reader.error_below("match.waypoint", kConflictingFields, "is for context: WAYPOINT alone");
    if (patch.match) check_match(reader, patch.apply_to, *patch.match);
    check_sub_filter(reader, patch, node);
    if (patch.apply_to == ApplyTo::kBootstrap)
      reader.warn(kNoEffect, "a patch of the bootstrap has no effect on what a control plane sends");
  }
  static void check_match(Reader& reader, ApplyTo apply_to, const EnvoyFilterMatch& match) {
    if (!match.listener && !match.route_configuration && !match.cluster) return;
    switch (apply_to) {
      case ApplyTo::kListener:
      case ApplyTo::kFilterChain:
      case ApplyTo::kNetworkFilter:
      case ApplyTo::kHttpFilter:
        if (!match.listener) return other_class(reader, "listener");
        if (match.listener->filter_chain && match.listener->filter_chain->filter)
          check_filter(reader, apply_to, *match.listener->filter_chain->filter);
        return;
      case ApplyTo::kRouteConfiguration:
      case ApplyTo::kVirtualHost:
      case ApplyTo::kHttpRoute:
        if (!match.route_configuration) other_class(reader, "routeConfiguration");
        return;
      case ApplyTo::kCluster:
        if (!match.cluster) other_class(reader, "cluster");
        return;
      case ApplyTo::kInvalid:
      case ApplyTo::kExtensionConfig:
      case ApplyTo::kBootstrap:
      case ApplyTo::kListenerFilter:
        return;
    }
  }
  static void other_class(Reader& reader, std::string_view wanted) {
    reader.error_below("match", kConflictingFields, "the match is for another class of objects than applyTo", "write match: {" + std::string(wanted) + ": ...}");
  }
  static void check_filter(Reader& reader, ApplyTo apply_to, const EnvoyFilterMatch::Filter& filter) {
    constexpr std::string_view kPath = "match.listener.filterChain.filter";
    if (filter.name.empty()) return reader.error_below(kPath, kMissingField, "the filter has no name to match on");
    if (apply_to == ApplyTo::kListener || apply_to == ApplyTo::kFilterChain)
      reader.warn(kNoEffect, "the match on a filter has no effect with this applyTo");
  }
  // A sub filter that is there and empty is an error, one that is absent is not: only the document can tell.
  static void check_sub_filter(Reader& reader, const T& patch, const text::Node& node) {
    const text::Node* filter = node.at({"match", "listener", "filterChain", "filter"});
    if (filter == nullptr || !has(*filter, "subFilter") || !patch.match || !patch.match->listener) return;
    const EnvoyFilterMatch::Filter& match = *patch.match->listener->filter_chain->filter;
    constexpr std::string_view kPath = "match.listener.filterChain.filter.subFilter";
    if (patch.apply_to != ApplyTo::kHttpFilter)
      return reader.error_below(kPath, kConflictingFields, "a match on a sub filter is for applyTo: HTTP_FILTER alone");
    if (!is_http_connection_manager(match.name))
      return reader.error_below(kPath, kConflictingFields, "a sub filter needs the filter envoy.filters.network.http_connection_manager");
    if (match.sub_filter.empty()) reader.error_below(kPath, kMissingField, "the sub filter has no name to match on");
  }
};

template <>
struct Shape<EnvoyFilter::TargetRef> : Table<EnvoyFilter::TargetRef> {
  using T = EnvoyFilter::TargetRef;
  static constexpr Field<T> kFields[] = {
      {"group", at<&T::group>}, {"kind", at<&T::kind>}, {"name", at<&T::name>}, {"namespace", at<&T::namespace_>}};
};

template <>
struct Shape<EnvoyFilter> : Table<EnvoyFilter> {
  using T = EnvoyFilter;
  static void selector(Reader& reader, const text::Node& node, T& out) {
    LabelSelector labels;
    out.has_workload_selector = true;
    if (read_value(reader, node, labels)) out.workload_selector = std::move(labels.labels);
  }
  static constexpr Field<T> kFields[] = {{"workloadSelector", selector},
                                         {"targetRefs", at<&T::target_refs>},
                                         {"configPatches", at<&T::config_patches>},
                                         {"priority", at<&T::priority>}};
};

EnvoyFilter read_envoy_filter(Reader& reader, const text::Node& spec) {
  EnvoyFilter filter;
  read_value(reader, spec, filter);
  return filter;
}

}  // namespace lateen::model
