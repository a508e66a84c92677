// MeshInbound: the inbound side of workloads that a Sidecar gives listeners of their own (spec.ingress with bind and
// defaultEndpoint): nothing is captured here, so only such listeners can be served. One view for each workload that the
// Sidecar selects; what comes in at a listener goes to its defaultEndpoint.
#pragma once

#include <map>
#include <vector>

#include "cli/mesh_views.h"
#include "cli/open_listeners.h"

namespace lateen::cli {

class MeshInbound {
 public:
  MeshInbound(proxy::Proxy& proxy, MeshViews& views) : views_(views), open_(proxy) {}

  // Makes the views of workloads that are new. Before MeshViews::update().
  void make_views(const model::Mesh& mesh);
  // After MeshViews::update(), and again while all_open() is false.
  void listen();
  bool all_open() const { return open_.problems().empty(); }

  // "inbound-default/web-1-8080" -> the bound address.
  std::vector<proxy::BoundListener> bound() const { return open_.bound(); }
  std::vector<Diagnostic> problems() const;

 private:
  struct Workload {
    const admin::ViewPage* page = nullptr;
    Origin origin;             // of the Sidecar's ingress
  };

  MeshViews& views_;
  OpenListeners open_;
  std::map<Identity, Workload> workloads_;
  std::vector<Diagnostic> view_problems_;
};

}  // namespace lateen::cli
