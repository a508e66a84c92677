// How a mesh is started.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "net/loop.h"
#include "translate/translate.h"

namespace lateen::cli {

struct MeshOptions {
  std::vector<std::string> paths;                 // files and folders that are followed
  std::string mesh_config;                        // Istio's mesh.yaml; "": defaults
  std::string state;                              // folder for what is applied; "": kept in memory only
  net::Address admin, http_proxy;                 // http_proxy of family kNone: none
  std::string ports_file;
  unsigned concurrency = 0;
  translate::Compat compat = translate::Compat::kLateen;
  std::string identity;                           // of forward proxy requests that name none
  bool reuse_port = false;
  std::string gateway_bind = "127.0.0.1";
  std::map<std::uint16_t, std::uint16_t> gateway_ports;   // a Gateway's port -> the one to listen on; 0: a free one
  std::string access_log;
  bool quiet = false;
};

}  // namespace lateen::cli
