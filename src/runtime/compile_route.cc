#include "runtime/compile_route.h"

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>

#include "runtime/path_index.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;
namespace core = envoy::config::core::v3;

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

void compile_metadata(const core::Metadata& metadata, Route& out, SharedParts& parts) {
  const auto& sections = metadata.filter_metadata();
  if (const auto istio = sections.find("istio"); istio != sections.end())
    if (const auto it = istio->second.fields().find("config"); it != istio->second.fields().end())
      out.config = parts.text(it->second.string_value());
  if (const auto lateen = sections.find("lateen"); lateen != sections.end())
    if (const auto it = lateen->second.fields().find("delay_counts"); it != lateen->second.fields().end())
      out.delay_counts_against_timeout = it->second.bool_value();
}

bool same_domains(const RouteTable& a, const RouteTable& b) {
  return std::equal(a.virtual_hosts.begin(), a.virtual_hosts.end(), b.virtual_hosts.begin(), b.virtual_hosts.end(),
                    [](const auto& x, const auto& y) { return x == y || x->domains == y->domains; });
}

void index_domains(RouteTable& table, Fields& fields) {
  DomainIndex index;
  for (std::uint32_t number = 0; number < table.virtual_hosts.size(); ++number) {
    for (const SharedText& text : table.virtual_hosts[number]->domains) {
      const std::string_view domain = text;
      bool added = false;
      if (domain == "*") {
        added = !table.any;
        if (added) table.any = number;
      } else if (domain.starts_with('*')) {
        added = index.suffixes[domain.size() - 1].insert(domain.substr(1), number);
      } else if (domain.ends_with('*')) {
        added = index.prefixes[domain.size() - 1].insert(domain.substr(0, domain.size() - 1), number);
      } else {
        added = index.exact.insert(text, number);
      }
      if (!added) fields.refuse("domain \"" + text + "\" of virtual host " + table.virtual_hosts[number]->name + " belongs to another one already");
    }
  }
  table.domains = std::make_shared<const DomainIndex>(std::move(index));
}

}  // namespace

void compile_header_operations(const google::protobuf::RepeatedPtrField<std::string>& remove,
                               const google::protobuf::RepeatedPtrField<core::HeaderValueOption>& add,
                               CompactList<HeaderOperation>& out, Fields& fields) {
  for (const std::string& name : remove) {
    const Fields::At at(fields, "headers_to_remove");
    if (may_be_changed(lower_case(name), fields)) out.push_back({HeaderOperation::Kind::kRemove, lower_case(name), {}, false});
  }
  for (int i = 0; i < add.size(); ++i) {
    const Fields::At at(fields, "headers_to_add", i);
    const core::HeaderValueOption& option = add.Get(i);
    fields.only(option, {option.kHeaderFieldNumber, option.kAppendFieldNumber, option.kAppendActionFieldNumber,
                         option.kKeepEmptyValueFieldNumber});
    fields.only(option.header(), {option.header().kKeyFieldNumber, option.header().kValueFieldNumber, option.header().kRawValueFieldNumber});
    if (!option.header().value().empty() && !option.header().raw_value().empty()) fields.refuse("value and raw_value exclude each other");
    if (option.has_append() && option.append_action() != core::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD)
      fields.refuse("append and append_action exclude each other");
    const std::string name = lower_case(option.header().key());
    if (!may_be_changed(name, fields)) continue;
    Result<HeaderValue> value = option.header().raw_value().empty() ? HeaderValue::compile(option.header().value())
                                                                    : HeaderValue::compile(option.header().raw_value());
    if (!value) fields.refuse(value.error());
    else out.push_back({operation_kind(option, fields), name, *std::move(value), option.keep_empty_value()});
  }
}

Route compile_route(const route::Route& proto, const Inherited& inherited, ClusterNames& names, Fields& fields) {
  Route out;
  out.name = fields.parts().text(proto.name());
  out.stat_prefix = proto.stat_prefix();
  // Whether the operation is told to the next proxy is for observation.
  fields.only(proto.decorator(), {proto.decorator().kOperationFieldNumber, proto.decorator().kPropagateFieldNumber});
  out.operation = proto.decorator().operation();
  fields.metadata(proto.metadata());
  compile_metadata(proto.metadata(), out, fields.parts());
  {
    const Fields::At at(fields, "match");
    out.match = compile_route_match(proto.match(), fields);
  }
  // From here on a route can say by itself that it is not supported.
  const std::size_t mark = fields.mark();
  // Tracing is for observation only; what is kept of a body for another try has a bound of its own.
  fields.only(proto, {proto.kNameFieldNumber, proto.kMatchFieldNumber, proto.kRouteFieldNumber, proto.kRedirectFieldNumber,
                      proto.kDirectResponseFieldNumber, proto.kFilterActionFieldNumber, proto.kNonForwardingActionFieldNumber,
                      proto.kMetadataFieldNumber, proto.kDecoratorFieldNumber, proto.kTypedPerFilterConfigFieldNumber,
                      proto.kRequestHeadersToAddFieldNumber, proto.kRequestHeadersToRemoveFieldNumber,
                      proto.kResponseHeadersToAddFieldNumber, proto.kResponseHeadersToRemoveFieldNumber,
                      proto.kStatPrefixFieldNumber, proto.kTracingFieldNumber, proto.kPerRequestBufferLimitBytesFieldNumber,
                      proto.kRequestBodyBufferLimitFieldNumber});
  out.action = compile_route_action(proto, names, fields);
  const FilterConfigs configs = compile_filter_configs(proto.typed_per_filter_config(), proto.route().has_cors() ? &proto.route().cors() : nullptr, fields);
  out.fault = configs.fault ? *configs.fault : inherited.filters.fault.value_or(Boxed<Fault>());
  out.cors = configs.cors ? *configs.cors : inherited.filters.cors.value_or(Boxed<Cors>());
  if (Forward* forward = std::get_if<Forward>(&out.action); forward != nullptr) {
    // Written only where there is something to write: the policy is shared until then.
    const ForwardPolicy& own = *std::as_const(forward->policy);
    if (!own.retry && inherited.retry) forward->policy->retry = inherited.retry;
    if (!own.hedge && inherited.hedge) forward->policy->hedge = inherited.hedge;
    if (own.mirrors.empty() && !inherited.mirrors.empty()) forward->policy->mirrors = inherited.mirrors;
  }
  compile_header_operations(proto.request_headers_to_remove(), proto.request_headers_to_add(), out.request_headers, fields);
  compile_header_operations(proto.response_headers_to_remove(), proto.response_headers_to_add(), out.response_headers, fields);
  if (std::string why = fields.take_unsupported(mark); !why.empty()) out.action = Unsupported{std::move(why)};
  return out;
}

namespace {

// What routes take over from their virtual host where they have none of their own.
Inherited compile_inherited(const route::VirtualHost& proto, ClusterNames& names, Fields& fields) {
  Inherited out;
  if (proto.has_retry_policy()) {
    const Fields::At at(fields, "retry_policy");
    out.retry = shared_retry_policy(proto.retry_policy(), fields);
  }
  if (proto.has_hedge_policy()) {
    const Fields::At at(fields, "hedge_policy");
    out.hedge = compile_hedge_policy(proto.hedge_policy(), fields);
  }
  compile_mirrors(proto.request_mirror_policies(), out.mirrors, names, fields);
  out.filters = compile_filter_configs(proto.typed_per_filter_config(), proto.has_cors() ? &proto.cors() : nullptr, fields);
  return out;
}

// Virtual clusters are for statistics only; what is kept of a body for another try has a bound of its own.
void only_known(const route::VirtualHost& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kDomainsFieldNumber, proto.kRoutesFieldNumber, proto.kRequireTlsFieldNumber,
                      proto.kRequestHeadersToAddFieldNumber, proto.kRequestHeadersToRemoveFieldNumber,
                      proto.kResponseHeadersToAddFieldNumber, proto.kResponseHeadersToRemoveFieldNumber,
                      proto.kRetryPolicyFieldNumber, proto.kHedgePolicyFieldNumber, proto.kRequestMirrorPoliciesFieldNumber,
                      proto.kTypedPerFilterConfigFieldNumber, proto.kCorsFieldNumber, proto.kIncludeRequestAttemptCountFieldNumber,
                      proto.kIncludeAttemptCountInResponseFieldNumber, proto.kVirtualClustersFieldNumber,
                      proto.kMetadataFieldNumber, proto.kPerRequestBufferLimitBytesFieldNumber,
                      proto.kRequestBodyBufferLimitFieldNumber});
}

}  // namespace

std::shared_ptr<const VirtualHost> compile_virtual_host(const route::VirtualHost& proto, std::uint64_t content_hash,
                                                        ClusterNames& names, Fields& fields) {
  only_known(proto, fields);
  fields.metadata(proto.metadata());
  auto out = std::make_shared<VirtualHost>();
  out->name = proto.name();
  out->domains.reserve(static_cast<std::size_t>(proto.domains_size()));
  for (const std::string& domain : proto.domains()) out->domains.emplace_back(lower_case(domain));
  if (out->domains.empty()) fields.refuse("domains must not be empty");
  out->include_attempt_count_in_request = proto.include_request_attempt_count();
  out->include_attempt_count_in_response = proto.include_attempt_count_in_response();
  out->require_tls = proto.require_tls() != route::VirtualHost::NONE;
  if (proto.require_tls() == route::VirtualHost::EXTERNAL_ONLY) fields.unsupported("require_tls: EXTERNAL_ONLY is not supported");
  compile_header_operations(proto.request_headers_to_remove(), proto.request_headers_to_add(), out->request_headers, fields);
  compile_header_operations(proto.response_headers_to_remove(), proto.response_headers_to_add(), out->response_headers, fields);
  const Inherited inherited = compile_inherited(proto, names, fields);
  out->routes.reserve(static_cast<std::size_t>(proto.routes_size()));
  for (int i = 0; i < proto.routes_size(); ++i) {
    const Fields::At at(fields, "routes", i);
    out->routes.push_back(compile_route(proto.routes(i), inherited, names, fields));
    out->routes.back().index = static_cast<std::uint32_t>(i);
  }
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  out->index = PathIndex::build_if_many(out->routes);
  out->content_hash = content_hash;
  return out;
}

std::shared_ptr<const VirtualHost> refused_virtual_host(const route::VirtualHost& proto, const std::string& why) {
  auto out = std::make_shared<VirtualHost>();
  out->name = proto.name();
  out->domains.reserve(static_cast<std::size_t>(proto.domains_size()));
  for (const std::string& domain : proto.domains()) out->domains.emplace_back(lower_case(domain));
  Route every;
  every.match.path_kind = RouteMatch::PathKind::kPrefix;
  every.action = Unsupported{why};
  out->routes.push_back(std::move(every));
  out->index = PathIndex::build_if_many(out->routes);
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
  if (out->domains != nullptr) {
    out->hosts_by_place.resize(out->domains->exact.places());
    out->domains->exact.for_each_place([&out](std::size_t place, std::uint32_t number) { out->hosts_by_place[place] = out->virtual_hosts[number].get(); });
  }
  return out;
}

}  // namespace lateen::runtime
