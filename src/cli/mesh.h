// Mesh: the object graph of `lateen run`. Everything of the control side lives on one loop.
//
//   files, applied, registered -> MeshControl (join, admit) -> MeshViews (translate, compile) -> proxy::Proxy (adopt)
//                                                           -> MeshGateways (listen), MeshExec (tell sessions)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/mesh_options.h"
#include "net/loop.h"

namespace lateen::cli {

class Mesh {
 public:
  // Returns when everything listens; the ports file is put in place when every worker serves. Errors name the flag or
  // the file that is at fault.
  static Result<std::unique_ptr<Mesh>> start(net::Loop& loop, MeshOptions options);
  virtual ~Mesh() = default;

  // {"admin": "127.0.0.1:15000", "http-proxy": ...}
  virtual std::string ports_json() const = 0;
  // Stops accepting, lets requests end for at most `grace`, then calls `done`.
  virtual void drain(Duration grace, std::function<void()> done) = 0;
};

extern const std::string_view kVersion;

}  // namespace lateen::cli
