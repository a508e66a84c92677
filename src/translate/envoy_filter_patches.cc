#include "translate/envoy_filter_patches.h"

#include <google/protobuf/message.h>
#include <re2/re2.h>

#include <algorithm>
#include <tuple>

#include "translate/envoy_filter.h"
#include "translate/names.h"

namespace lateen::translate {
namespace {

using model::ApplyTo;
using model::PatchOperation;

constexpr std::size_t kMaxVersionPattern = 1024;  // istiod's: a longer one matches nothing
constexpr std::string_view kGatewayNameLabel = "gateway.networking.k8s.io/gateway-name";

const model::EnvoyFilterMatch kMatchAll;

// A workload that is no gateway of the Gateway API is chosen by labels alone, such a gateway by reference or by labels.
bool is_for_view(const model::Object& object, const model::EnvoyFilter& filter, const View& view) {
  const auto gateway = view.labels.find(std::string(kGatewayNameLabel));
  if (filter.target_refs.empty()) return selects(filter.workload_selector, view.labels);
  if (gateway == view.labels.end() || object.meta.namespace_ != view.namespace_) return false;
  return std::any_of(filter.target_refs.begin(), filter.target_refs.end(), [&](const model::EnvoyFilter::TargetRef& target) {
    return target.group == "gateway.networking.k8s.io" && target.kind == "Gateway" && target.name == gateway->second &&
           (target.namespace_.empty() || target.namespace_ == view.namespace_);
  });
}

bool matches_proxy(const model::EnvoyFilterMatch& match, const View& view) {
  if (!match.proxy) return true;
  if (const std::string& pattern = match.proxy->proxy_version; !pattern.empty()) {
    if (pattern.size() > kMaxVersionPattern || view.istio_version.empty()) return false;
    RE2::Options options;
    options.set_log_errors(false);
    const RE2 compiled(pattern, options);
    if (!compiled.ok() || !RE2::PartialMatch(view.istio_version, compiled)) return false;
  }
  return std::all_of(match.proxy->metadata.begin(), match.proxy->metadata.end(), [&](const auto& wanted) {
    const auto it = view.metadata.find(wanted.first);
    return it != view.metadata.end() && it->second == wanted.second;
  });
}

PatchOperation effective_operation(const model::EnvoyFilterPatch& patch) {
  const bool inserts = patch.operation == PatchOperation::kInsertAfter || patch.operation == PatchOperation::kInsertBefore ||
                       patch.operation == PatchOperation::kInsertFirst;
  const bool ordered = patch.apply_to == ApplyTo::kHttpFilter || patch.apply_to == ApplyTo::kNetworkFilter ||
                       patch.apply_to == ApplyTo::kHttpRoute || patch.apply_to == ApplyTo::kListenerFilter;
  return inserts && !ordered ? PatchOperation::kAdd : patch.operation;
}

using Found = std::pair<const model::Object*, const model::EnvoyFilter*>;

// Root namespace and the workload's own: by priority, then root first, then age, then name.
std::vector<Found> filters_for(const Scope& scope) {
  const std::string& root = scope.mesh.config.root_namespace;
  std::vector<Found> out;
  for (const Found& found : scope.mesh.all<model::EnvoyFilter>(model::Kind::kEnvoyFilter)) {
    const std::string& own = found.first->meta.namespace_;
    if ((own == root || own == scope.view.namespace_) && is_for_view(*found.first, *found.second, scope.view)) out.push_back(found);
  }
  const auto key = [&](const Found& found) {
    const model::Metadata& meta = found.first->meta;
    return std::tuple(found.second->priority, meta.namespace_ != root, meta.created.value_or(WallTime::max()),
                      meta.name + "." + meta.namespace_);
  };
  std::stable_sort(out.begin(), out.end(), [&](const Found& a, const Found& b) { return key(a) < key(b); });
  return out;
}

// protobuf's messages begin with the way to the field, "(load_assignment.endpoints[0]): ...": it stands in the YAML too.
std::string field_in(const std::string& message) {
  const std::size_t end = message.find("): ");
  return message.starts_with('(') && end != std::string::npos ? "." + message.substr(1, end - 1) : "";
}

std::string value_path(std::size_t index) { return "spec.configPatches[" + std::to_string(index) + "].patch.value"; }

}  // namespace

std::string_view patch_type(ApplyTo apply_to) {
  switch (apply_to) {
    case ApplyTo::kListener: return "envoy.config.listener.v3.Listener";
    case ApplyTo::kFilterChain: return "envoy.config.listener.v3.FilterChain";
    case ApplyTo::kNetworkFilter: return "envoy.config.listener.v3.Filter";
    case ApplyTo::kHttpFilter: return "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter";
    case ApplyTo::kRouteConfiguration: return "envoy.config.route.v3.RouteConfiguration";
    case ApplyTo::kVirtualHost: return "envoy.config.route.v3.VirtualHost";
    case ApplyTo::kHttpRoute: return "envoy.config.route.v3.Route";
    case ApplyTo::kCluster: return "envoy.config.cluster.v3.Cluster";
    case ApplyTo::kExtensionConfig: return "envoy.config.core.v3.TypedExtensionConfig";
    case ApplyTo::kBootstrap: return "envoy.config.bootstrap.v3.Bootstrap";
    case ApplyTo::kListenerFilter: return "envoy.config.listener.v3.ListenerFilter";
    case ApplyTo::kInvalid: break;
  }
  return {};
}

Result<std::shared_ptr<const google::protobuf::Message>> patch_value(const model::EnvoyFilterPatch& patch, xds::UnknownFields unknown) {
  if (patch.value_json.empty()) return nullptr;
  std::unique_ptr<google::protobuf::Message> message = xds::new_message(patch_type(patch.apply_to));
  if (message == nullptr) return fail(ErrorCode::kInvalidConfig, "no message of Envoy belongs to this applyTo");
  LATEEN_TRY_VOID(xds::from_json(patch.value_json, *message, unknown));
  return std::shared_ptr<const google::protobuf::Message>(std::move(message));
}

EnvoyPatches::EnvoyPatches(const Scope& scope, const Notes& notes) {
  const xds::UnknownFields unknown = scope.options.compat == Compat::kIstio ? xds::UnknownFields::kIgnore : xds::UnknownFields::kRefuse;
  for (const auto& [object, filter] : filters_for(scope)) {
    for (std::size_t i = 0; i < filter->config_patches.size(); ++i) {
      const model::EnvoyFilterPatch& patch = filter->config_patches[i];
      const model::EnvoyFilterMatch& match = patch.match ? *patch.match : kMatchAll;
      if (match.context == model::PatchContext::kWaypoint || !matches_proxy(match, scope.view)) continue;
      auto value = patch_value(patch, unknown);
      if (!value) {
        notes.left_out.push_back({LeftOut::Why::kOther, object->origin(value_path(i)), {}, value.error().message, "", 0});
        continue;
      }
      patches_[patch.apply_to].push_back({match, patch.apply_to, effective_operation(patch), *std::move(value)});
    }
  }
}

std::vector<Diagnostic> check_envoy_filters(const model::Mesh& mesh, Compat compat) {
  constexpr const char* kBadValue = "LTN0005";
  std::vector<Diagnostic> out;
  for (const auto& [object, filter] : mesh.all<model::EnvoyFilter>(model::Kind::kEnvoyFilter)) {
    for (std::size_t i = 0; i < filter->config_patches.size(); ++i) {
      const model::EnvoyFilterPatch& patch = filter->config_patches[i];
      if (patch.match && patch.match->context == model::PatchContext::kWaypoint) continue;
      const auto strict = patch_value(patch, xds::UnknownFields::kRefuse);
      if (strict) continue;
      // istiod passes over fields that it does not know; protobuf's lenient mode would pass over words of enums as well.
      const bool only_unknown = strict.error().message.find("Cannot find field") != std::string::npos &&
                                patch_value(patch, xds::UnknownFields::kIgnore).has_value();
      const Severity severity = only_unknown && compat == Compat::kIstio ? Severity::kWarning : Severity::kError;
      out.push_back({kBadValue, severity, object->origin(value_path(i) + field_in(strict.error().message)),
                     "the value is no " + std::string(patch_type(patch.apply_to)) + ": " + strict.error().message, ""});
    }
  }
  return out;
}

}  // namespace lateen::translate
