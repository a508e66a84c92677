// The mesh's part of `lateen exec`: what each session may resolve and dial, and the sockets that it hands over.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/exec_protocol.h"
#include "cli/exec_server.h"
#include "cli/mesh_views.h"
#include "model/mesh.h"
#include "proxy/proxy.h"

namespace lateen::cli {

// Gives out addresses for services that have none, as Istio does, out of 240.240.0.0/16. The address comes out of the
// host's name, so that it is mostly the same after a restart.
class VirtualAddresses {
 public:
  const std::string& address(const std::string& host);

 private:
  std::map<std::string, std::string, std::less<>> by_host_;
  std::set<std::string> taken_;
};

// Every service that a client of `namespace_` can dial.
std::vector<ExecService> exec_services(const model::Mesh& mesh, const std::string& namespace_, VirtualAddresses& addresses);

class MeshExec {
 public:
  struct Options {
    ExecServer::Options server;
    unsigned workers = 1;
  };
  // `mesh` is read at each call; all must outlive the object.
  static Result<std::unique_ptr<MeshExec>> start(net::Loop& loop, const Options& options, proxy::Proxy& proxy,
                                                 MeshViews& views, const model::Mesh& mesh);

  const std::string& socket_path() const { return server_->path(); }
  // The mesh has changed: sessions whose list changed are told.
  void update();

 private:
  using Captured = std::pair<std::uint16_t, int>;
  struct Session {
    Identity identity;
    proxy::ViewId view = 0;
    ExecServices told;
    std::set<Captured> listening;
  };
  MeshExec(unsigned workers, proxy::Proxy& proxy, MeshViews& views, const model::Mesh& mesh)
      : workers_(workers), proxy_(proxy), views_(views), mesh_(mesh) {}

  void on_hello(ExecServer::SessionId id, const ExecHello& hello);
  void on_sockets(ExecServer::SessionId id, const ExecSockets& sockets, std::vector<int> descriptors);
  void on_closed(ExecServer::SessionId id);
  ExecServices services_for(const Identity& identity);
  void tell(ExecServer::SessionId id, Session& session);

  const unsigned workers_;
  proxy::Proxy& proxy_;
  MeshViews& views_;
  const model::Mesh& mesh_;
  VirtualAddresses addresses_;
  std::map<ExecServer::SessionId, Session> sessions_;
  std::unique_ptr<ExecServer> server_;
};

}  // namespace lateen::cli
