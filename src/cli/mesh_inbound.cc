#include "cli/mesh_inbound.h"

#include "translate/names.h"

namespace lateen::cli {

namespace {

// Pods and WorkloadEntries of the Sidecar's namespace that it selects.
std::vector<Identity> selected(const model::Mesh& mesh, const model::Object& object, const model::Sidecar& sidecar) {
  std::vector<Identity> found;
  for (const auto& [key, workload] : mesh.objects) {
    const bool is_workload = key.kind == model::Kind::kPod || key.kind == model::Kind::kWorkloadEntry;
    if (!is_workload || key.namespace_ != object.meta.namespace_) continue;
    Identity identity{key.namespace_, key.name, {}};
    if (translate::selects(sidecar.workload_selector, resolve_view(identity, mesh).labels)) found.push_back(std::move(identity));
  }
  return found;
}

net::Address address_of(const runtime::Listener& listener) {
  const bool v6 = listener.address.find(':') != std::string::npos;
  return {v6 ? net::Address::Family::kIpv6 : net::Address::Family::kIpv4, listener.address, listener.port};
}

}  // namespace

void MeshInbound::make_views(const model::Mesh& mesh) {
  std::map<Identity, Workload> workloads;
  view_problems_.clear();
  for (const auto& [object, sidecar] : mesh.all<model::Sidecar>(model::Kind::kSidecar)) {
    if (sidecar->ingress.empty()) continue;
    const Origin origin = object->origin("spec.ingress");
    for (const Identity& identity : selected(mesh, *object, *sidecar)) {
      auto page = views_.inbound(identity, mesh);
      if (page) workloads.try_emplace(identity, Workload{*page, origin});
      else view_problems_.push_back({"LTN0907", Severity::kError, origin, page.error().message, ""});
    }
  }
  workloads_ = std::move(workloads);
}

void MeshInbound::listen() {
  std::map<std::string, OpenListeners::Wanted> wanted;
  for (const auto& [identity, workload] : workloads_) {
    if (workload.page->snapshot == nullptr) continue;
    for (const auto& [name, listener] : workload.page->snapshot->listeners) {
      if (listener->outbound || !listener->bind_to_port) continue;
      wanted["inbound-" + to_string(identity) + "-" + std::to_string(listener->port)] = {
          .at = address_of(*listener),
          .spec = {proxy::ListenSpec::Kind::kListener, workload.page->id, name},
          .origin = workload.origin,
          .fix = "write another bind or port.number, or end what listens there; each workload that the Sidecar selects wants one of its own"};
    }
  }
  open_.set(wanted);
}

std::vector<Diagnostic> MeshInbound::problems() const {
  std::vector<Diagnostic> all = view_problems_;
  all.insert(all.end(), open_.problems().begin(), open_.problems().end());
  return all;
}

}  // namespace lateen::cli
