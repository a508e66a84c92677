// What lateen exec keeps running beside the program, inside its namespaces: the sockets of the mesh's ports, names, and
// messages about what cannot be reached.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/exec_connection.h"
#include "cli/exec_names.h"
#include "cli/read_watch.h"
#include "net/epoll_loop.h"
#include "net/namespace.h"

namespace lateen::cli {

// Lines for the user on standard error, few and never the same twice in a row.
class ExecNotices {
 public:
  explicit ExecNotices(const net::Loop& loop) : loop_(loop) {}
  // Says "lateen: text", unless the same text was said in the last kQuiet, or kLinesMax lines were.
  void say(const std::string& text);

  static constexpr std::size_t kLinesMax = 10;
  static constexpr Duration kQuiet = std::chrono::seconds(10);

 private:
  const net::Loop& loop_;
  std::map<std::string, Time> said_;  // at most kLinesMax, all younger than kQuiet
};

class ExecInside {
 public:
  struct Options {
    std::string socket;   // where the mesh is found again when it has been restarted; its folder is private and ours
    ExecHello hello;
  };

  // In the namespaces already. Covers the files of names, opens what the list asks for and hands it to the mesh.
  // `loop` must outlive the object. Errors: kUnsupported (files cannot be covered), kSystem, kPeerClosed.
  static Result<std::unique_ptr<ExecInside>> start(net::EpollLoop& loop, ExecConnection connection, ExecServices services, Options options);
  ~ExecInside();

  // From now on answers listen() of the program that `guard` guards.
  void watch_listen(net::Descriptor guard);

  static constexpr Duration kReconnectEvery = std::chrono::milliseconds(250);

 private:
  ExecInside(net::EpollLoop& loop, Options options) : loop_(loop), options_(std::move(options)), notices_(loop) {}
  Result<void> cover_names();
  Result<void> start_responder();
  void start_refusal_watches();
  void adopt(ExecServices services);
  void open_new_ports();
  Result<void> watch_connection();
  void on_connection();
  void lose_mesh();
  void look_for_mesh();
  void on_query();
  void on_refusal(int watch);
  void on_listen();

  net::EpollLoop& loop_;
  const Options options_;
  ExecNotices notices_;
  std::unique_ptr<ExecNames> names_;
  std::set<std::pair<std::uint16_t, int>> open_ports_;
  std::string original_hosts_;
  net::CoveredFile hosts_;
  std::unique_ptr<ExecConnection> connection_;           // null while the mesh is away
  net::Descriptor responder_, guard_;
  std::vector<net::Descriptor> refusals_;
  // Watches after what they watch: they are destroyed first.
  std::unique_ptr<ReadWatch> connection_watch_, responder_watch_, guard_watch_;
  std::vector<std::unique_ptr<ReadWatch>> refusal_watches_;
  net::Timer reconnect_timer_;
};

}  // namespace lateen::cli
