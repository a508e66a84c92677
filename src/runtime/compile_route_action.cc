// What a route does: RouteAction, RedirectAction, DirectResponseAction.

#include <envoy/config/common/mutation_rules/v3/mutation_rules.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <limits>

#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;
namespace core = envoy::config::core::v3;

// Envoy's, when a route says nothing of it. istiod always says 0.
constexpr Duration kRouteTimeoutDefault = std::chrono::seconds(15);

// A substitution with the pattern that it goes with, or nothing if it was refused.
struct Substitution {
  std::shared_ptr<const Regex> regex;
  std::string text;
};
Substitution compile_substitution(const envoy::type::matcher::v3::RegexMatchAndSubstitute& proto, std::string_view name, Fields& fields) {
  const Fields::At at(fields, name);
  fields.only(proto, {proto.kPatternFieldNumber, proto.kSubstitutionFieldNumber});
  std::optional<Regex> regex = fields.regex(proto.pattern());
  if (!regex) return {};
  if (const Result<void> checked = regex->check_rewrite(proto.substitution()); !checked) fields.refuse(checked.error());
  return {std::make_shared<const Regex>(*std::move(regex)), proto.substitution()};
}

WeightedCluster whole_cluster(const std::string& name, ClusterNames& names) {
  WeightedCluster out;
  out.id = names.id(name);
  out.name = names.name(out.id);
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
    case route::RouteAction::kClusterHeader:
      if (proto.cluster_header().empty()) fields.refuse("cluster_header must not be empty");
      // Stands for whatever cluster a request names.
      out.clusters.emplace_back().weight = 1;
      out.weight_total = 1;
      break;
    case route::RouteAction::kClusterSpecifierPlugin:
    case route::RouteAction::kInlineClusterSpecifierPlugin: fields.unsupported("cluster specifier plugins are not supported"); break;
    case route::RouteAction::CLUSTER_SPECIFIER_NOT_SET: fields.refuse("names no cluster"); break;
  }
}

bool asks_for_rewrite(const route::RouteAction& proto) {
  return !proto.prefix_rewrite().empty() || proto.has_regex_rewrite() || proto.append_x_forwarded_host() ||
         proto.host_rewrite_specifier_case() != route::RouteAction::HOST_REWRITE_SPECIFIER_NOT_SET;
}

void compile_rewrite(const route::RouteAction& proto, Rewrite& out, Fields& fields) {
  out.prefix = proto.prefix_rewrite();
  out.host = proto.host_rewrite_literal();
  out.host_from_header = lower_case(proto.host_rewrite_header());
  out.host_from_endpoint = proto.auto_host_rewrite().value();
  out.append_x_forwarded_host = proto.append_x_forwarded_host();
  if (proto.has_host_rewrite_path_regex()) {
    Substitution host = compile_substitution(proto.host_rewrite_path_regex(), "host_rewrite_path_regex", fields);
    out.host_from_path = std::move(host.regex);
    out.host_from_path_substitution = std::move(host.text);
  }
  if (!proto.has_regex_rewrite()) return;
  if (!out.prefix.empty()) fields.refuse("prefix_rewrite and regex_rewrite exclude each other");
  Substitution path = compile_substitution(proto.regex_rewrite(), "regex_rewrite", fields);
  out.regex = std::move(path.regex);
  out.regex_substitution = std::move(path.text);
}

void compile_header_hash(const route::RouteAction::HashPolicy::Header& proto, HashPolicy& out, Fields& fields) {
  const Fields::At at(fields, "header");
  fields.only(proto, {proto.kHeaderNameFieldNumber, proto.kRegexRewriteFieldNumber});
  out.kind = HashPolicy::Kind::kHeader;
  out.name = lower_case(proto.header_name());
  if (out.name.empty()) fields.refuse("needs a header_name");
  if (!proto.has_regex_rewrite()) return;
  Substitution rewrite = compile_substitution(proto.regex_rewrite(), "regex_rewrite", fields);
  out.regex = std::move(rewrite.regex);
  out.regex_substitution = std::move(rewrite.text);
}

void compile_cookie_hash(const route::RouteAction::HashPolicy::Cookie& proto, HashPolicy& out, Fields& fields) {
  const Fields::At at(fields, "cookie");
  fields.only(proto, {proto.kNameFieldNumber, proto.kTtlFieldNumber, proto.kPathFieldNumber, proto.kAttributesFieldNumber});
  out.kind = HashPolicy::Kind::kCookie;
  out.name = proto.name();
  if (out.name.empty()) fields.refuse("needs a name");
  out.cookie_path = proto.path();
  if (proto.has_ttl()) {
    const Fields::At at_ttl(fields, "ttl");
    out.cookie_ttl = fields.duration(proto.ttl());
  }
  for (const auto& attribute : proto.attributes()) {
    fields.only(attribute, {attribute.kNameFieldNumber, attribute.kValueFieldNumber});
    out.cookie_attributes.emplace_back(attribute.name(), attribute.value());
  }
}

// False: it never gives a hash.
bool compile_hash_kind(const route::RouteAction::HashPolicy& proto, HashPolicy& out, Fields& fields) {
  using Proto = route::RouteAction::HashPolicy;
  switch (proto.policy_specifier_case()) {
    case Proto::kHeader: compile_header_hash(proto.header(), out, fields); return true;
    case Proto::kCookie: compile_cookie_hash(proto.cookie(), out, fields); return true;
    case Proto::kConnectionProperties:
      fields.only(proto.connection_properties(), {proto.connection_properties().kSourceIpFieldNumber});
      out.kind = HashPolicy::Kind::kSourceAddress;
      return proto.connection_properties().source_ip();
    case Proto::kQueryParameter:
      fields.only(proto.query_parameter(), {proto.query_parameter().kNameFieldNumber});
      out.kind = HashPolicy::Kind::kQueryParameter;
      out.name = proto.query_parameter().name();
      if (out.name.empty()) fields.refuse("query_parameter needs a name");
      return true;
    case Proto::kFilterState: fields.unsupported("filter_state is not supported"); return false;
    case Proto::POLICY_SPECIFIER_NOT_SET: fields.refuse("asks for nothing"); return false;
  }
  return false;
}

void compile_hash_policies(const route::RouteAction& proto, ForwardPolicy& out, Fields& fields) {
  for (int i = 0; i < proto.hash_policy_size(); ++i) {
    const Fields::At at(fields, "hash_policy", i);
    const auto& entry = proto.hash_policy(i);
    fields.only(entry, {entry.kHeaderFieldNumber, entry.kCookieFieldNumber, entry.kConnectionPropertiesFieldNumber,
                        entry.kQueryParameterFieldNumber, entry.kFilterStateFieldNumber, entry.kTerminalFieldNumber});
    HashPolicy policy;
    policy.terminal = entry.terminal();
    if (compile_hash_kind(entry, policy, fields)) out.hash.push_back(std::move(policy));
  }
}

void compile_stream_duration(const route::RouteAction::MaxStreamDuration& proto, ForwardPolicy& out, Fields& fields) {
  const Fields::At at_all(fields, "max_stream_duration");
  fields.only(proto, {proto.kMaxStreamDurationFieldNumber, proto.kGrpcTimeoutHeaderMaxFieldNumber});
  if (proto.has_max_stream_duration()) {
    const Fields::At at(fields, "max_stream_duration");
    out.stream_duration_max = fields.duration(proto.max_stream_duration());
  }
  if (proto.has_grpc_timeout_header_max()) {
    const Fields::At at(fields, "grpc_timeout_header_max");
    out.grpc_stream_duration_max = fields.duration(proto.grpc_timeout_header_max());
  }
}

std::uint16_t cluster_not_found_status(const route::RouteAction& proto, Fields& fields) {
  switch (static_cast<int>(proto.cluster_not_found_response_code())) {
    case route::RouteAction::SERVICE_UNAVAILABLE: return 503;
    case route::RouteAction::NOT_FOUND: return 404;
    case route::RouteAction::INTERNAL_SERVER_ERROR: return 500;
    default: fields.refuse("unknown cluster_not_found_response_code"); return 503;
  }
}

void read_connect_config(const route::RouteAction::UpgradeConfig::ConnectConfig& proto, bool enabled, ForwardPolicy& out, Fields& fields) {
  const Fields::At at(fields, "connect_config");
  fields.only(proto, {proto.kProxyProtocolConfigFieldNumber, proto.kAllowPostFieldNumber});
  if (proto.has_proxy_protocol_config())
    fields.unsupported("proxy_protocol_config is not supported; the cluster's transport_socket can send the header");
  out.ends_connect = enabled;
  out.ends_post = enabled && proto.allow_post();
}

void compile_upgrades(const route::RouteAction& proto, ForwardPolicy& out, Fields& fields) {
  for (int i = 0; i < proto.upgrade_configs_size(); ++i) {
    const Fields::At at(fields, "upgrade_configs", i);
    const auto& config = proto.upgrade_configs(i);
    fields.only(config, {config.kUpgradeTypeFieldNumber, config.kEnabledFieldNumber, config.kConnectConfigFieldNumber});
    const bool enabled = !config.has_enabled() || config.enabled().value();
    if (lower_case(config.upgrade_type()) == "websocket") {
      out.upgrades_allowed = enabled;
      if (config.has_connect_config()) fields.refuse("connect_config belongs to CONNECT");
    } else if (lower_case(config.upgrade_type()) == "connect") {
      out.connect_allowed = enabled;
      if (config.has_connect_config()) read_connect_config(config.connect_config(), enabled, out, fields);
    } else if (enabled) {
      fields.unsupported("only websocket and CONNECT are supported");
    }
  }
}

void compile_times(const route::RouteAction& proto, ForwardPolicy& out, Fields& fields) {
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
  if (proto.has_max_stream_duration()) compile_stream_duration(proto.max_stream_duration(), out, fields);
}

ForwardPolicy compile_forward_policy(const route::RouteAction& proto, ClusterNames& names, Fields& fields) {
  ForwardPolicy out;
  out.cluster_header = lower_case(proto.cluster_header());
  compile_times(proto, out, fields);
  if (proto.has_retry_policy()) {
    const Fields::At at(fields, "retry_policy");
    out.retry = shared_retry_policy(proto.retry_policy(), fields);
  }
  if (proto.has_hedge_policy()) {
    const Fields::At at(fields, "hedge_policy");
    out.hedge = compile_hedge_policy(proto.hedge_policy(), fields);
  }
  compile_mirrors(proto.request_mirror_policies(), out.mirrors, names, fields);
  compile_hash_policies(proto, out, fields);
  out.cluster_not_found_status = cluster_not_found_status(proto, fields);
  if (asks_for_rewrite(proto)) compile_rewrite(proto, out.rewrite.emplace(), fields);
  compile_upgrades(proto, out, fields);
  return out;
}

// The message without the clusters; a cluster_header belongs to the policy.
std::string policy_bytes(const route::RouteAction& proto) {
  if (proto.cluster_specifier_case() == route::RouteAction::kCluster) {
    // Nearly every route: the field stands first in the bytes (its tag, length and text), and cutting it off is cheaper than
    // a copy of the message.
    std::string bytes = proto.SerializeAsString();
    const std::size_t begin = 1 + google::protobuf::io::CodedOutputStream::VarintSize64(proto.cluster().size());
    if (bytes.compare(begin, proto.cluster().size(), proto.cluster()) == 0) return bytes.substr(begin + proto.cluster().size());
  }
  route::RouteAction policy = proto;
  if (proto.cluster_specifier_case() != route::RouteAction::kClusterHeader) policy.clear_cluster_specifier();
  return policy.SerializeAsString();
}

// The same object for actions that differ in their clusters alone.
Boxed<ForwardPolicy> shared_forward_policy(const route::RouteAction& proto, ClusterNames& names, Fields& fields) {
  return shared_by_bytes(fields.parts().forward_policies, policy_bytes(proto), fields, [&] { return compile_forward_policy(proto, names, fields); });
}

Forward compile_forward(const route::RouteAction& proto, ClusterNames& names, Fields& fields) {
  fields.only(proto, {proto.kClusterFieldNumber, proto.kWeightedClustersFieldNumber, proto.kClusterHeaderFieldNumber,
                      proto.kClusterSpecifierPluginFieldNumber, proto.kInlineClusterSpecifierPluginFieldNumber,
                      proto.kTimeoutFieldNumber, proto.kIdleTimeoutFieldNumber, proto.kRetryPolicyFieldNumber,
                      proto.kPrefixRewriteFieldNumber, proto.kRegexRewriteFieldNumber, proto.kHostRewriteLiteralFieldNumber,
                      proto.kAutoHostRewriteFieldNumber, proto.kHostRewriteHeaderFieldNumber, proto.kHostRewritePathRegexFieldNumber,
                      proto.kAppendXForwardedHostFieldNumber, proto.kRequestMirrorPoliciesFieldNumber, proto.kHashPolicyFieldNumber,
                      proto.kHedgePolicyFieldNumber, proto.kCorsFieldNumber, proto.kMaxGrpcTimeoutFieldNumber,
                      proto.kMaxStreamDurationFieldNumber, proto.kClusterNotFoundResponseCodeFieldNumber,
                      proto.kUpgradeConfigsFieldNumber});
  Forward out;
  compile_clusters(proto, out, names, fields);
  out.policy = shared_forward_policy(proto, names, fields);
  return out;
}

Redirect compile_redirect(const route::RedirectAction& proto, Fields& fields) {
  fields.only(proto, {proto.kHostRedirectFieldNumber, proto.kPortRedirectFieldNumber, proto.kHttpsRedirectFieldNumber,
                      proto.kSchemeRedirectFieldNumber, proto.kPathRedirectFieldNumber, proto.kPrefixRewriteFieldNumber,
                      proto.kRegexRewriteFieldNumber, proto.kResponseCodeFieldNumber, proto.kStripQueryFieldNumber});
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
  if (proto.has_regex_rewrite()) {
    Substitution path = compile_substitution(proto.regex_rewrite(), "regex_rewrite", fields);
    out.path_regex = std::move(path.regex);
    out.path_regex_substitution = std::move(path.text);
  }
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

void compile_mutations(const google::protobuf::RepeatedPtrField<envoy::config::common::mutation_rules::v3::HeaderMutation>& protos,
                       Mirror& out, Fields& fields) {
  google::protobuf::RepeatedPtrField<std::string> remove;
  google::protobuf::RepeatedPtrField<core::HeaderValueOption> add;
  for (int i = 0; i < protos.size(); ++i) {
    const Fields::At at(fields, "request_headers_mutations", i);
    const auto& entry = protos.Get(i);
    fields.only(entry, {entry.kRemoveFieldNumber, entry.kAppendFieldNumber});
    // One by one, so that they keep their order.
    remove.Clear();
    add.Clear();
    if (entry.has_append()) *add.Add() = entry.append();
    else *remove.Add() = entry.remove();
    compile_header_operations(remove, add, out.request_headers, fields);
  }
}

}  // namespace

void compile_mirrors(const google::protobuf::RepeatedPtrField<route::RouteAction_RequestMirrorPolicy>& protos,
                     CompactList<Mirror>& out, ClusterNames& names, Fields& fields) {
  for (int i = 0; i < protos.size(); ++i) {
    const Fields::At at(fields, "request_mirror_policies", i);
    const auto& entry = protos.Get(i);
    // Whether a trace is kept is for observation.
    fields.only(entry, {entry.kClusterFieldNumber, entry.kRuntimeFractionFieldNumber, entry.kTraceSampledFieldNumber,
                        entry.kDisableShadowHostSuffixAppendFieldNumber, entry.kRequestHeadersMutationsFieldNumber,
                        entry.kHostRewriteLiteralFieldNumber});
    Mirror mirror;
    mirror.cluster = entry.cluster();
    if (mirror.cluster.empty() && entry.cluster_header().empty()) fields.refuse("names no cluster");
    mirror.id = names.id(mirror.cluster);
    // There is no runtime layer here: the default holds.
    if (entry.has_runtime_fraction()) mirror.per_million = fields.fraction(entry.runtime_fraction(), "runtime_fraction");
    mirror.append_shadow_suffix = !entry.disable_shadow_host_suffix_append();
    mirror.host_rewrite = entry.host_rewrite_literal();
    compile_mutations(entry.request_headers_mutations(), mirror, fields);
    out.push_back(std::move(mirror));
  }
}

RouteAction compile_route_action(const route::Route& proto, ClusterNames& names, Fields& fields) {
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

}  // namespace lateen::runtime
