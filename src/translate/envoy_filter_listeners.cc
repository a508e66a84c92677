// EnvoyFilter patches of listeners and what is in them: listener filters, filter chains, network and HTTP filters.
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include <algorithm>

#include "translate/envoy_filter_apply.h"
#include "translate/envoy_filter_merge.h"
#include "translate/names.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace listener_v3 = envoy::config::listener::v3;
namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
using model::ApplyTo;
using model::PatchContext;
using model::PatchOperation;

constexpr std::string_view kHttpConnectionManager = "envoy.filters.network.http_connection_manager";

template <class T>
bool contains(const google::protobuf::RepeatedPtrField<T>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Ports of these are those of the filter chains.
bool is_virtual(const listener_v3::Listener& listener) {
  return listener.name() == "virtualInbound" || listener.name() == "virtualOutbound";
}

bool matches_listener(const EnvoyPatch& patch, const listener_v3::Listener& listener) {
  if (!patch.match.listener) return true;
  const auto& match = *patch.match.listener;
  if (!match.name.empty() && match.name != listener.name()) return false;
  if (match.port_number == 0 || (patch.apply_to != ApplyTo::kListener && is_virtual(listener))) return true;
  return listener.address().has_socket_address() && listener.address().socket_address().port_value() == match.port_number;
}

bool matches_chain(const EnvoyPatch& patch, const listener_v3::Listener& listener, const listener_v3::FilterChain& chain) {
  if (!patch.match.listener) return true;
  const auto& of_listener = *patch.match.listener;
  const listener_v3::FilterChainMatch& has = chain.filter_chain_match();
  if (is_virtual(listener) && of_listener.port_number > 0 && has.destination_port().value() != of_listener.port_number) return false;
  if (!of_listener.filter_chain) return true;
  const auto& match = *of_listener.filter_chain;
  if (!match.name.empty() && match.name != chain.name()) return false;
  if (!match.sni.empty() && !contains(has.server_names(), match.sni)) return false;
  if (!match.transport_protocol.empty() && match.transport_protocol != has.transport_protocol()) return false;
  if (!match.application_protocols.empty())
    for (std::string_view protocol : split(match.application_protocols, ','))
      if (!contains(has.application_protocols(), protocol)) return false;
  return match.destination_port == 0 || (has.has_destination_port() && has.destination_port().value() == match.destination_port);
}

const model::EnvoyFilterMatch::Filter* filter_match(const EnvoyPatch& patch) {
  if (!patch.match.listener || !patch.match.listener->filter_chain || !patch.match.listener->filter_chain->filter) return nullptr;
  return &*patch.match.listener->filter_chain->filter;
}

bool matches_filter(const EnvoyPatch& patch, const std::string& name) {
  const auto* match = filter_match(patch);
  return match == nullptr || match->name == name;
}

bool matches_http_filter(const EnvoyPatch& patch, const std::string& name) {
  const auto* match = filter_match(patch);
  return match == nullptr || match->sub_filter.empty() || match->sub_filter == name;
}

// A filter's name and configuration over another's. False: istiod breaks off.
template <class Filter>
bool merge_filter(Filter& filter, const Filter& from) {
  if (!filter.has_typed_config()) return true;
  if (from.has_typed_config() && merge_any(*filter.mutable_typed_config(), from.typed_config()) == AnyMerge::kOtherType) return false;
  if (!from.name().empty()) filter.set_name(from.name());
  return true;
}

class ListenerPatcher {
 public:
  ListenerPatcher(const EnvoyPatches& patches, PatchContext context, listener_v3::Listener& listener)
      : patches_(patches), context_(context), listener_(listener) {}

  Patched run() {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kListener)) {
      if (!is_here(patch)) continue;
      if (patch.operation == PatchOperation::kRemove) return Patched::kRemoved;
      if (patch.merges()) merge_patch(listener_, patch);
    }
    if (listener_filters()) filter_chains();
    return Patched::kStays;
  }

 private:
  bool is_here(const EnvoyPatch& patch) const { return patch.is_for(context_) && matches_listener(patch, listener_); }
  bool is_here(const EnvoyPatch& patch, const listener_v3::FilterChain& chain) const {
    return is_here(patch) && matches_chain(patch, listener_, chain);
  }

  bool listener_filters() {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kListenerFilter)) {
      if (!is_here(patch)) continue;
      const std::string name = patch.match.listener ? patch.match.listener->listener_filter : "";
      const auto matches = [&](const listener_v3::ListenerFilter& filter) { return name.empty() || filter.name() == name; };
      patch_list(*listener_.mutable_listener_filters(), patch, !name.empty(), matches);
      if (patch.operation != PatchOperation::kMerge || name.empty()) continue;
      // The names that it gives are passed over, unlike those of the other filters. It looks at every filter.
      for (auto& filter : *listener_.mutable_listener_filters()) {
        const auto& value = patch.value<listener_v3::ListenerFilter>();
        if (filter.has_typed_config() && value.has_typed_config() &&
            merge_any(*filter.mutable_typed_config(), value.typed_config()) == AnyMerge::kOtherType)
          return false;
      }
    }
    return true;
  }

  void filter_chains() {
    auto& chains = *listener_.mutable_filter_chains();
    for (auto& chain : chains)
      if (!chain.filters().empty() && !patch_chain(chain)) return;
    if (!listener_.default_filter_chain().filters().empty()) {
      if (!patch_chain(*listener_.mutable_default_filter_chain())) return;
      if (is_removed(listener_.default_filter_chain())) listener_.clear_default_filter_chain();
    }
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kFilterChain))
      if (patch.operation == PatchOperation::kAdd && is_here(patch)) *chains.Add() = patch.value<listener_v3::FilterChain>();
    remove_all(chains, [&](const listener_v3::FilterChain& chain) { return is_removed(chain); });
  }

  // Chains without filters go, unless patches of the filters emptied them.
  bool is_removed(const listener_v3::FilterChain& chain) const {
    return chain.filters().empty() && std::find(emptied_.begin(), emptied_.end(), &chain) == emptied_.end();
  }

  bool patch_chain(listener_v3::FilterChain& chain) {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kFilterChain)) {
      if (!is_here(patch, chain)) continue;
      if (patch.operation == PatchOperation::kRemove) {
        chain.clear_filters();
        return true;
      }
      if (!patch.merges()) continue;
      const auto& value = patch.value<listener_v3::FilterChain>();
      if (!value.has_transport_socket() || !chain.has_transport_socket() ||
          value.transport_socket().name() != chain.transport_socket().name()) {
        merge_patch(chain, patch);
      } else if (chain.transport_socket().has_typed_config() && value.transport_socket().has_typed_config()) {
        // With a transport socket of the same name nothing but its configuration is merged.
        if (merge_any(*chain.mutable_transport_socket()->mutable_typed_config(), value.transport_socket().typed_config()) == AnyMerge::kOtherType)
          return false;
      }
    }
    return network_filters(chain);
  }

  bool network_filters(listener_v3::FilterChain& chain) {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kNetworkFilter)) {
      if (!is_here(patch, chain)) continue;
      patch_list(*chain.mutable_filters(), patch, filter_match(patch) != nullptr,
                 [&](const listener_v3::Filter& filter) { return matches_filter(patch, filter.name()); });
    }
    if (chain.filters().empty()) emptied_.push_back(&chain);
    for (auto& filter : *chain.mutable_filters())
      if (!network_filter(chain, filter)) return false;
    return true;
  }

  bool network_filter(const listener_v3::FilterChain& chain, listener_v3::Filter& filter) {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kNetworkFilter))
      if (patch.operation == PatchOperation::kMerge && is_here(patch, chain) && matches_filter(patch, filter.name()) &&
          !merge_filter(filter, patch.value<listener_v3::Filter>()))
        return false;
    return filter.name() != kHttpConnectionManager || !filter.has_typed_config() || http_filters(chain, filter);
  }

  bool http_filters(const listener_v3::FilterChain& chain, listener_v3::Filter& filter) {
    hcm_v3::HttpConnectionManager manager;
    if (patches_.of(ApplyTo::kHttpFilter).empty() || !filter.typed_config().UnpackTo(&manager)) return true;
    const auto is_for_manager = [&](const EnvoyPatch& patch) { return is_here(patch, chain) && matches_filter(patch, filter.name()); };
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kHttpFilter)) {
      if (!is_for_manager(patch)) continue;
      const auto* match = filter_match(patch);
      patch_list(*manager.mutable_http_filters(), patch, match != nullptr && !match->sub_filter.empty(),
                 [&](const hcm_v3::HttpFilter& candidate) { return matches_http_filter(patch, candidate.name()); });
    }
    for (auto& http_filter : *manager.mutable_http_filters())
      for (const EnvoyPatch& patch : patches_.of(ApplyTo::kHttpFilter))
        if (patch.operation == PatchOperation::kMerge && is_for_manager(patch) && matches_http_filter(patch, http_filter.name()) &&
            !merge_filter(http_filter, patch.value<hcm_v3::HttpFilter>()))
          return false;  // before the manager is written back
    xds::pack(manager, *filter.mutable_typed_config());
    return true;
  }

  const EnvoyPatches& patches_;
  const PatchContext context_;
  listener_v3::Listener& listener_;
  std::vector<const listener_v3::FilterChain*> emptied_;
};

}  // namespace

Patched patch_listener(const EnvoyPatches& patches, PatchContext context, listener_v3::Listener& listener) {
  return ListenerPatcher(patches, context, listener).run();
}

}  // namespace lateen::translate
