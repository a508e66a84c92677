// OpenListeners: the sockets that views of their own kind want open: gateways', and those of the inbound side of workloads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "proxy/proxy.h"

namespace lateen::cli {

class OpenListeners {
 public:
  struct Wanted {
    net::Address at;
    proxy::ListenSpec spec;
    Origin origin;             // what asks for it
    std::string fix;           // where it can not be opened
    bool operator==(const Wanted& other) const {
      return at == other.at && spec.view == other.spec.view && spec.listener == other.spec.listener;
    }
  };

  // `proxy` must outlive this object.
  explicit OpenListeners(proxy::Proxy& proxy) : proxy_(proxy) {}

  // Opens and closes sockets so that they are these, by name. Again and again while there are problems: a port may become
  // free.
  void set(const std::map<std::string, Wanted>& wanted);
  std::vector<proxy::BoundListener> bound() const;
  // Listeners that could not be opened: a port in use, or one that needs a privilege.
  const std::vector<Diagnostic>& problems() const { return problems_; }

 private:
  struct Open {
    Wanted wanted;
    proxy::BoundListener bound;
  };

  proxy::Proxy& proxy_;
  std::map<std::string, Open> open_;
  std::vector<Diagnostic> problems_;
};

}  // namespace lateen::cli
