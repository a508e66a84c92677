// Gateway servers: a router view for each selector, and its listeners opened and closed as Gateways come and go.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/mesh_options.h"
#include "cli/mesh_views.h"
#include "cli/open_listeners.h"
#include "proxy/proxy.h"

namespace lateen::cli {

class MeshGateways {
 public:
  struct Options {
    std::string bind;                                          // where a Gateway gives no bind of its own
    std::map<std::uint16_t, std::uint16_t> ports;
  };
  MeshGateways(proxy::Proxy& proxy, MeshViews& views, Options options)
      : views_(views), options_(std::move(options)), open_(proxy) {}

  // Makes the views of new selectors. Before MeshViews::update().
  void make_views(const model::Mesh& mesh);
  // Opens and closes sockets so that they are those of the views' listeners. After MeshViews::update(), and again while
  // all_open() is false: the port may become free.
  void listen(const model::Mesh& mesh);
  bool all_open() const { return open_.problems().empty(); }

  // "gateway-80" -> the bound address.
  std::vector<proxy::BoundListener> bound() const { return open_.bound(); }
  // Listeners that could not be opened: a port in use, or one that needs a privilege.
  std::vector<Diagnostic> problems() const;

 private:
  std::map<std::string, OpenListeners::Wanted> wanted(const model::Mesh& mesh) const;
  net::Address address_of(const runtime::Listener& listener) const;

  MeshViews& views_;
  const Options options_;
  std::map<std::map<std::string, std::string>, const admin::ViewPage*> by_selector_;
  OpenListeners open_;
  std::vector<Diagnostic> view_problems_;
};

}  // namespace lateen::cli
