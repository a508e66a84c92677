// Which handler answers which path, and who may change something.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "admin/http.h"

namespace lateen::admin {

class Router {
 public:
  // GET and HEAD.
  void add_page(std::string path, std::string help, Handler handler);
  // POST (or DELETE), and only from this machine's own programs: see refuse_change().
  void add_change(std::string method, std::string path, std::string help, Handler handler);
  // The same for every path below `prefix`.
  void add_change_below(std::string method, std::string prefix, std::string help, Handler handler);

  void handle(const Request& request, Reply reply) const;

  struct Help {
    std::string method, path, text;
  };
  const std::vector<Help>& help() const { return help_; }

 private:
  struct Entry {
    std::string method;
    Handler handler;
    bool changes = false;
  };
  const std::vector<Entry>* find(const std::string& path) const;

  std::map<std::string, std::vector<Entry>, std::less<>> exact_;
  std::map<std::string, std::vector<Entry>, std::less<>> below_;
  std::vector<Help> help_;
};

// "127.0.0.1:15000", "localhost", "[::1]:1".
bool is_loopback_host(std::string_view host);

// Why a change is refused (403), or "". A web page in the user's browser must not be able to make one: it may reach the
// port by a name of its own (then Host is no loopback name), or directly (then Origin names the page).
std::string refuse_change(const Request& request);

}  // namespace lateen::admin
