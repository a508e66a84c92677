#include "runtime/compile_route.h"

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <limits>

#include "runtime/path_index.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;
namespace core = envoy::config::core::v3;

// Envoy's, when a route says nothing of it. istiod always says 0.
constexpr Duration kRouteTimeoutDefault = std::chrono::seconds(15);
constexpr std::string_view kFaultFilter = "envoy.filters.http.fault";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool may_be_changed(std::string_view name, Fields& fields) {
  if (name.empty()) fields.refuse("needs a name");
  else if (name.front() == ':' || name == "host") fields.refuse(std::string(name) + " cannot be added or removed");
  else return true;
  return false;
}

HeaderOperation::Kind operation_kind(const core::HeaderValueOption& proto, Fields& fields) {
  using Kind = HeaderOperation::Kind;
  if (proto.has_append()) return proto.append().value() ? Kind::kAppend : Kind::kOverwrite;  // the older spelling
  switch (static_cast<int>(proto.append_action())) {
    case core::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD: return Kind::kAppend;
    case core::HeaderValueOption::ADD_IF_ABSENT: return Kind::kAddIfAbsent;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD: return Kind::kOverwrite;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS: return Kind::kOverwriteIfExists;
    default: fields.refuse("unknown append_action"); return Kind::kAppend;
  }
}

void compile_fault(const google::protobuf::Any& any, Route& out, Fields& fields) {
  envoy::extensions::filters::http::fault::v3::HTTPFault proto;
  if (!fields.unpack(any, proto)) return;
  fields.only(proto, {proto.kDelayFieldNumber, proto.kAbortFieldNumber});
  Fault fault;
  if (proto.has_delay()) {
    const Fields::At at(fields, "delay");
    const auto& delay = proto.delay();
    fields.only(delay, {delay.kFixedDelayFieldNumber, delay.kPercentageFieldNumber});
    fault.delay = fields.duration(delay.fixed_delay());
    fault.delay_per_million = fields.per_million(delay.percentage());
    if (*fault.delay == Duration::zero()) fields.refuse("fixed_delay must be more than 0");
  }
  if (proto.has_abort()) {
    const Fields::At at(fields, "abort");
    const auto& abort = proto.abort();
    fields.only(abort, {abort.kHttpStatusFieldNumber, abort.kGrpcStatusFieldNumber, abort.kPercentageFieldNumber});
    fault.abort_per_million = fields.per_million(abort.percentage());
    if (abort.http_status() != 0) {
      if (abort.http_status() < 200 || abort.http_status() > 599) fields.refuse("http_status must be 200 to 599");
      else fault.abort_status = static_cast<std::uint16_t>(abort.http_status());
    } else {
      fault.abort_grpc_status = abort.grpc_status();
    }
  }
  out.fault = fault;
}

void compile_filter_configs(const google::protobuf::Map<std::string, google::protobuf::Any>& configs, Route& out,
                            Fields& fields) {
  for (const auto& [name, any] : configs) {
    const Fields::At at(fields, "typed_per_filter_config." + name);
    if (name == kFaultFilter) compile_fault(any, out, fields);
    else fields.unsupported("filter " + name + " is not supported");
  }
}

void compile_metadata(const core::Metadata& metadata, Route& out) {
  const auto& sections = metadata.filter_metadata();
  if (const auto istio = sections.find("istio"); istio != sections.end())
    if (const auto it = istio->second.fields().find("config"); it != istio->second.fields().end())
      out.config = it->second.string_value();
  if (const auto lateen = sections.find("lateen"); lateen != sections.end())
    if (const auto it = lateen->second.fields().find("delay_counts"); it != lateen->second.fields().end())
      out.delay_counts_against_timeout = it->second.bool_value();
}

WeightedCluster whole_cluster(const std::string& name, ClusterNames& names) {
  WeightedCluster out;
  out.name = name;
  out.id = names.id(name);
  out.weight = 1;
  return out;
}

void compile_weighted(const route::WeightedCluster& proto, Forward& out, ClusterNames& names, Fields& fields) {
  const Fields::At at_all(fields, "weighted_clusters");
  // total_weight is deprecated and the sum in any case; random values of our own need no key.
  fields.only(proto, {proto.kClustersFieldNumber, proto.kTotalWeightFieldNumber, proto.kRuntimeKeyPrefixFieldNumber});
  for (int i = 0; i < proto.clusters_size(); ++i) {
    const Fields::At at(fields, "clusters", i);
    const auto& entry = proto.clusters(i);
    fields.only(entry, {entry.kNameFieldNumber, entry.kWeightFieldNumber, entry.kRequestHeadersToAddFieldNumber,
                        entry.kRequestHeadersToRemoveFieldNumber, entry.kResponseHeadersToAddFieldNumber,
                        entry.kResponseHeadersToRemoveFieldNumber, entry.kHostRewriteLiteralFieldNumber});
    if (entry.name().empty()) fields.refuse("needs a name");
    WeightedCluster cluster = whole_cluster(entry.name(), names);
    cluster.weight = entry.weight().value();
    cluster.host_rewrite = entry.host_rewrite_literal();
    compile_header_operations(entry.request_headers_to_remove(), entry.request_headers_to_add(), cluster.request_headers, fields);
    compile_header_operations(entry.response_headers_to_remove(), entry.response_headers_to_add(), cluster.response_headers, fields);
    out.weight_total += cluster.weight;
    out.clusters.push_back(std::move(cluster));
  }
  if (out.weight_total == 0) fields.refuse("the weights must not all be 0");
  if (out.weight_total > std::numeric_limits<std::uint32_t>::max()) fields.refuse("the sum of the weights is more than 2^32 - 1");
}

void compile_clusters(const route::RouteAction& proto, Forward& out, ClusterNames& names, Fields& fields) {
  switch (proto.cluster_specifier_case()) {
    case route::RouteAction::kCluster:
      if (proto.cluster().empty()) fields.refuse("cluster must not be empty");
      out.clusters.push_back(whole_cluster(proto.cluster(), names));
      out.weight_total = 1;
      break;
    case route::RouteAction::kWeightedClusters: compile_weighted(proto.weighted_clusters(), out, names, fields); break;
    case route::RouteAction::kClusterHeader: fields.unsupported("cluster_header is not supported"); break;
    case route::RouteAction::kClusterSpecifierPlugin:
    case route::RouteAction::kInlineClusterSpecifierPlugin: fields.unsupported("cluster specifier plugins are not supported"); break;
    case route::RouteAction::CLUSTER_SPECIFIER_NOT_SET: fields.refuse("names no cluster"); break;
  }
}

void compile_rewrite(const route::RouteAction& proto, Forward& out, Fields& fields) {
  out.rewrite.prefix = proto.prefix_rewrite();
  out.rewrite.host = proto.host_rewrite_literal();
  if (!proto.has_regex_rewrite()) return;
  const Fields::At at(fields, "regex_rewrite");
  std::optional<Regex> regex = fields.regex(proto.regex_rewrite().pattern());
  if (!regex) return;
  if (const Result<void> checked = regex->check_rewrite(proto.regex_rewrite().substitution()); !checked) fields.refuse(checked.error());
  if (!out.rewrite.prefix.empty()) fields.refuse("prefix_rewrite and regex_rewrite exclude each other");
  out.rewrite.regex = std::make_shared<const Regex>(*std::move(regex));
  out.rewrite.regex_substitution = proto.regex_rewrite().substitution();
}

void compile_stream_duration(const route::RouteAction::MaxStreamDuration& proto, Fields& fields) {
  const Fields::At at(fields, "max_stream_duration");
  fields.only(proto, {proto.kMaxStreamDurationFieldNumber, proto.kGrpcTimeoutHeaderMaxFieldNumber});
  if (fields.duration(proto.max_stream_duration()) > Duration::zero()) fields.unsupported("is not supported; 0s means none");
}

std::uint16_t cluster_not_found_status(const route::RouteAction& proto, Fields& fields) {
  switch (static_cast<int>(proto.cluster_not_found_response_code())) {
    case route::RouteAction::SERVICE_UNAVAILABLE: return 503;
    case route::RouteAction::NOT_FOUND: return 404;
    case route::RouteAction::INTERNAL_SERVER_ERROR: return 500;
    default: fields.refuse("unknown cluster_not_found_response_code"); return 503;
  }
}

void compile_upgrades(const route::RouteAction& proto, Forward& out, Fields& fields) {
  for (int i = 0; i < proto.upgrade_configs_size(); ++i) {
    const Fields::At at(fields, "upgrade_configs", i);
    const auto& config = proto.upgrade_configs(i);
    fields.only(config, {config.kUpgradeTypeFieldNumber, config.kEnabledFieldNumber});
    if (lower(config.upgrade_type()) != "websocket") fields.unsupported("only websocket is supported");
    else out.upgrades_allowed = !config.has_enabled() || config.enabled().value();
  }
}

Forward compile_forward(const route::RouteAction& proto, ClusterNames& names, Fields& fields) {
  fields.only(proto, {proto.kClusterFieldNumber, proto.kWeightedClustersFieldNumber, proto.kClusterHeaderFieldNumber,
                      proto.kClusterSpecifierPluginFieldNumber, proto.kInlineClusterSpecifierPluginFieldNumber,
                      proto.kTimeoutFieldNumber, proto.kIdleTimeoutFieldNumber, proto.kRetryPolicyFieldNumber,
                      proto.kPrefixRewriteFieldNumber, proto.kRegexRewriteFieldNumber, proto.kHostRewriteLiteralFieldNumber,
                      proto.kMaxGrpcTimeoutFieldNumber, proto.kMaxStreamDurationFieldNumber,
                      proto.kClusterNotFoundResponseCodeFieldNumber, proto.kUpgradeConfigsFieldNumber});
  Forward out;
  compile_clusters(proto, out, names, fields);
  out.timeout = kRouteTimeoutDefault;
  if (proto.has_timeout()) {
    const Fields::At at(fields, "timeout");
    out.timeout = fields.duration(proto.timeout());
  }
  if (proto.has_idle_timeout()) {
    const Fields::At at(fields, "idle_timeout");
    out.idle_timeout = fields.duration(proto.idle_timeout());
  }
  if (proto.has_max_grpc_timeout()) {
    const Fields::At at(fields, "max_grpc_timeout");
    out.grpc_timeout_max = fields.duration(proto.max_grpc_timeout());
  }
  if (proto.has_max_stream_duration()) compile_stream_duration(proto.max_stream_duration(), fields);
  if (proto.has_retry_policy()) {
    const Fields::At at(fields, "retry_policy");
    out.retry = compile_retry_policy(proto.retry_policy(), fields);
  }
  out.cluster_not_found_status = cluster_not_found_status(proto, fields);
  compile_rewrite(proto, out, fields);
  compile_upgrades(proto, out, fields);
  return out;
}

Redirect compile_redirect(const route::RedirectAction& proto, Fields& fields) {
  fields.only(proto, {proto.kHostRedirectFieldNumber, proto.kPortRedirectFieldNumber, proto.kHttpsRedirectFieldNumber,
                      proto.kSchemeRedirectFieldNumber, proto.kPathRedirectFieldNumber, proto.kPrefixRewriteFieldNumber,
                      proto.kResponseCodeFieldNumber, proto.kStripQueryFieldNumber});
  Redirect out;
  switch (static_cast<int>(proto.response_code())) {
    case route::RedirectAction::MOVED_PERMANENTLY: out.status = 301; break;
    case route::RedirectAction::FOUND: out.status = 302; break;
    case route::RedirectAction::SEE_OTHER: out.status = 303; break;
    case route::RedirectAction::TEMPORARY_REDIRECT: out.status = 307; break;
    case route::RedirectAction::PERMANENT_REDIRECT: out.status = 308; break;
    default: fields.refuse("unknown response_code"); break;
  }
  out.scheme = proto.scheme_redirect();
  out.host = proto.host_redirect();
  out.path = proto.path_redirect();
  out.prefix_rewrite = proto.prefix_rewrite();
  out.https_redirect = proto.https_redirect();
  out.strip_query = proto.strip_query();
  if (proto.port_redirect() > 65535) fields.refuse("port_redirect is not a port");
  else if (proto.port_redirect() != 0) out.port = static_cast<std::uint16_t>(proto.port_redirect());
  return out;
}

DirectResponse compile_direct_response(const route::DirectResponseAction& proto, Fields& fields) {
  fields.only(proto, {proto.kStatusFieldNumber, proto.kBodyFieldNumber});
  DirectResponse out;
  if (proto.status() < 200 || proto.status() > 599) fields.refuse("status must be 200 to 599");
  out.status = static_cast<std::uint16_t>(proto.status());
  if (!proto.has_body()) return out;
  const Fields::At at(fields, "body");
  const core::DataSource& body = proto.body();
  fields.only(body, {body.kInlineStringFieldNumber, body.kInlineBytesFieldNumber});
  out.body = body.specifier_case() == core::DataSource::kInlineBytes ? body.inline_bytes() : body.inline_string();
  if (out.body.size() > kDirectResponseBodyBytesMax) fields.refuse("longer than 1 MiB");
  return out;
}

RouteAction compile_action(const route::Route& proto, ClusterNames& names, Fields& fields) {
  switch (proto.action_case()) {
    case route::Route::kRoute: {
      const Fields::At at(fields, "route");
      return compile_forward(proto.route(), names, fields);
    }
    case route::Route::kRedirect: {
      const Fields::At at(fields, "redirect");
      return compile_redirect(proto.redirect(), fields);
    }
    case route::Route::kDirectResponse: {
      const Fields::At at(fields, "direct_response");
      return compile_direct_response(proto.direct_response(), fields);
    }
    case route::Route::kFilterAction:
    case route::Route::kNonForwardingAction: fields.unsupported("its action is not supported"); break;
    case route::Route::ACTION_NOT_SET: fields.refuse("has no action"); break;
  }
  return Unsupported{};
}

bool same_domains(const RouteTable& a, const RouteTable& b) {
  return std::equal(a.virtual_hosts.begin(), a.virtual_hosts.end(), b.virtual_hosts.begin(), b.virtual_hosts.end(),
                    [](const auto& x, const auto& y) { return x == y || x->domains == y->domains; });
}

void index_domains(RouteTable& table, Fields& fields) {
  DomainIndex index;
  for (std::uint32_t number = 0; number < table.virtual_hosts.size(); ++number) {
    for (const std::string& domain : table.virtual_hosts[number]->domains) {
      bool added = false;
      if (domain == "*") {
        added = !table.any;
        if (added) table.any = number;
      } else if (domain.starts_with('*')) {
        added = index.suffixes[domain.size() - 1].emplace(domain.substr(1), number).second;
      } else if (domain.ends_with('*')) {
        added = index.prefixes[domain.size() - 1].emplace(domain.substr(0, domain.size() - 1), number).second;
      } else {
        added = index.exact.emplace(domain, number).second;
      }
      if (!added) fields.refuse("domain \"" + domain + "\" of virtual host " + table.virtual_hosts[number]->name + " belongs to another one already");
    }
  }
  table.domains = std::make_shared<const DomainIndex>(std::move(index));
}

}  // namespace

void compile_header_operations(const google::protobuf::RepeatedPtrField<std::string>& remove,
                               const google::protobuf::RepeatedPtrField<core::HeaderValueOption>& add,
                               std::vector<HeaderOperation>& out, Fields& fields) {
  for (const std::string& name : remove) {
    const Fields::At at(fields, "headers_to_remove");
    if (may_be_changed(lower(name), fields)) out.push_back({HeaderOperation::Kind::kRemove, lower(name), {}, false});
  }
  for (int i = 0; i < add.size(); ++i) {
    const Fields::At at(fields, "headers_to_add", i);
    const core::HeaderValueOption& option = add.Get(i);
    fields.only(option, {option.kHeaderFieldNumber, option.kAppendFieldNumber, option.kAppendActionFieldNumber,
                         option.kKeepEmptyValueFieldNumber});
    const std::string name = lower(option.header().key());
    if (!may_be_changed(name, fields)) continue;
    Result<HeaderValue> value = option.header().raw_value().empty() ? HeaderValue::compile(option.header().value())
                                                                    : HeaderValue::compile(option.header().raw_value());
    if (!value) fields.refuse(value.error());
    else out.push_back({operation_kind(option, fields), name, *std::move(value), option.keep_empty_value()});
  }
}

Route compile_route(const route::Route& proto, ClusterNames& names, Fields& fields) {
  Route out;
  out.name = proto.name();
  out.stat_prefix = proto.stat_prefix();
  out.operation = proto.decorator().operation();
  compile_metadata(proto.metadata(), out);
  {
    const Fields::At at(fields, "match");
    out.match = compile_route_match(proto.match(), fields);
  }
  // From here on a route can say by itself that it is not supported.
  const std::size_t mark = fields.mark();
  // Tracing is for observation only.
  fields.only(proto, {proto.kNameFieldNumber, proto.kMatchFieldNumber, proto.kRouteFieldNumber, proto.kRedirectFieldNumber,
                      proto.kDirectResponseFieldNumber, proto.kFilterActionFieldNumber, proto.kNonForwardingActionFieldNumber,
                      proto.kMetadataFieldNumber, proto.kDecoratorFieldNumber, proto.kTypedPerFilterConfigFieldNumber,
                      proto.kRequestHeadersToAddFieldNumber, proto.kRequestHeadersToRemoveFieldNumber,
                      proto.kResponseHeadersToAddFieldNumber, proto.kResponseHeadersToRemoveFieldNumber,
                      proto.kStatPrefixFieldNumber, proto.kTracingFieldNumber});
  out.action = compile_action(proto, names, fields);
  compile_filter_configs(proto.typed_per_filter_config(), out, fields);
  compile_header_operations(proto.request_headers_to_remove(), proto.request_headers_to_add(), out.request_headers, fields);
  compile_header_operations(proto.response_headers_to_remove(), proto.response_headers_to_add(), out.response_headers, fields);
  if (std::string why = fields.take_unsupported(mark); !why.empty()) out.action = Unsupported{std::move(why)};
  return out;
}

std::shared_ptr<const VirtualHost> compile_virtual_host(const route::VirtualHost& proto, std::uint64_t content_hash,
                                                        ClusterNames& names, Fields& fields) {
  // Virtual clusters are for statistics only.
  fields.only(proto, {proto.kNameFieldNumber, proto.kDomainsFieldNumber, proto.kRoutesFieldNumber, proto.kRequireTlsFieldNumber,
                      proto.kRequestHeadersToAddFieldNumber, proto.kRequestHeadersToRemoveFieldNumber,
                      proto.kResponseHeadersToAddFieldNumber, proto.kResponseHeadersToRemoveFieldNumber,
                      proto.kRetryPolicyFieldNumber, proto.kIncludeRequestAttemptCountFieldNumber,
                      proto.kIncludeAttemptCountInResponseFieldNumber, proto.kVirtualClustersFieldNumber,
                      proto.kMetadataFieldNumber});
  auto out = std::make_shared<VirtualHost>();
  out->name = proto.name();
  for (const std::string& domain : proto.domains()) out->domains.push_back(lower(domain));
  if (out->domains.empty()) fields.refuse("domains must not be empty");
  out->include_attempt_count_in_request = proto.include_request_attempt_count();
  out->include_attempt_count_in_response = proto.include_attempt_count_in_response();
  out->require_tls = proto.require_tls() != route::VirtualHost::NONE;
  if (proto.require_tls() == route::VirtualHost::EXTERNAL_ONLY) fields.unsupported("require_tls: EXTERNAL_ONLY is not supported");
  compile_header_operations(proto.request_headers_to_remove(), proto.request_headers_to_add(), out->request_headers, fields);
  compile_header_operations(proto.response_headers_to_remove(), proto.response_headers_to_add(), out->response_headers, fields);
  if (proto.has_retry_policy()) {
    const Fields::At at(fields, "retry_policy");
    out->retry = compile_retry_policy(proto.retry_policy(), fields);
  }
  out->routes.reserve(static_cast<std::size_t>(proto.routes_size()));
  for (int i = 0; i < proto.routes_size(); ++i) {
    const Fields::At at(fields, "routes", i);
    out->routes.push_back(compile_route(proto.routes(i), names, fields));
    Route& added = out->routes.back();
    added.index = static_cast<std::uint32_t>(i);
    if (Forward* forward = std::get_if<Forward>(&added.action); forward != nullptr && !forward->retry) forward->retry = out->retry;
  }
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  out->index = PathIndex::build(out->routes);
  out->content_hash = content_hash;
  return out;
}

std::shared_ptr<const VirtualHost> refused_virtual_host(const route::VirtualHost& proto, const std::string& why) {
  auto out = std::make_shared<VirtualHost>();
  out->name = proto.name();
  for (const std::string& domain : proto.domains()) out->domains.push_back(lower(domain));
  Route every;
  every.match.path_kind = RouteMatch::PathKind::kPrefix;
  every.action = Unsupported{why};
  out->routes.push_back(std::move(every));
  out->index = PathIndex::build(out->routes);
  return out;
}

std::unique_ptr<RouteTable> compile_route_table(const route::RouteConfiguration& shell,
                                                std::vector<std::shared_ptr<const VirtualHost>> virtual_hosts,
                                                const RouteTable* before, Fields& fields) {
  fields.only(shell, {shell.kNameFieldNumber, shell.kVirtualHostsFieldNumber, shell.kValidateClustersFieldNumber,
                      shell.kMaxDirectResponseBodySizeBytesFieldNumber, shell.kIgnorePortInHostMatchingFieldNumber,
                      shell.kRequestHeadersToAddFieldNumber, shell.kRequestHeadersToRemoveFieldNumber,
                      shell.kResponseHeadersToAddFieldNumber, shell.kResponseHeadersToRemoveFieldNumber,
                      shell.kMetadataFieldNumber});
  auto out = std::make_unique<RouteTable>();
  out->name = shell.name();
  out->ignore_port = shell.ignore_port_in_host_matching();
  compile_header_operations(shell.request_headers_to_remove(), shell.request_headers_to_add(), out->request_headers, fields);
  compile_header_operations(shell.response_headers_to_remove(), shell.response_headers_to_add(), out->response_headers, fields);
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  // Whoever called compiled the virtual hosts, also those that stand inside the message.
  out->virtual_hosts = std::move(virtual_hosts);
  if (before != nullptr && before->content_hash != 0 && same_domains(*before, *out)) {
    out->domains = before->domains;
    out->any = before->any;
  } else {
    index_domains(*out, fields);
  }
  return out;
}

}  // namespace lateen::runtime
