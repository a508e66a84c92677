// Worker: one loop's share of the data plane: its views, its listening sockets, its connections, its requests. Everything
// here runs on that loop's thread; the control thread posts to its mailbox.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/date.h"
#include "net/loop.h"
#include "proxy/access_log.h"
#include "proxy/connection.h"
#include "proxy/metrics.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/tls_contexts.h"
#include "proxy/worker_view.h"

namespace lateen::proxy {

// Questions of workers to the control thread. `done` is called on the asking worker's thread.
class ControlQuestions {
 public:
  virtual ~ControlQuestions() = default;
  // Which view an identity is.
  virtual void find_view(unsigned worker, std::string identity, std::function<void(Result<ViewId>)> done) = 0;
  // An address of a name that the mesh does not know, in that family; its port is 0.
  virtual void find_address(unsigned worker, std::string name, net::DnsFamily family, std::function<void(Result<net::Address>)> done) = 0;
};

// What the workers of a process share. Outlives them.
struct WorkerShared {
  Metrics* metrics = nullptr;
  AccessLog* access_log = nullptr;          // null: off
  ControlQuestions* control = nullptr;
  TlsContexts* tls = nullptr;
};

class Worker final : public RequestHome {
 public:
  // Finished requests that are kept for use again; up to twice as many until they are trimmed.
  static constexpr std::size_t kSpareRequestsMax = 256;

  // `loop` and `shared` must outlive the worker. Destroyed on the loop's thread, outside its callbacks.
  Worker(net::Loop& loop, unsigned index, std::uint64_t seed, const WorkerShared& shared);
  ~Worker() override;

  // ---- from the mailbox
  WorkerView& view(ViewId id);              // made at the first mention
  void adopt(ViewId id, std::shared_ptr<const runtime::Snapshot> snapshot, std::shared_ptr<const ClusterTable> table);
  Result<net::Address> listen(const std::string& name, const net::Address& at, const net::ListenOptions& options,
                              const ListenSpec& spec);
  Result<void> adopt_listener(const std::string& name, int fd, const ListenSpec& spec);
  // Stops accepting and drains the connections that came that way.
  void close_listener(const std::string& name);
  // Stops accepting everywhere; `done` is called from the loop when the last connection has gone.
  void drain(std::function<void()> done);
  std::size_t connections() const { return connections_.size(); }
  bool draining() const { return draining_; }

  // ---- for connections
  void add(std::unique_ptr<Connection> connection, std::uint64_t group);
  // Destroys `connection` once the current callbacks are over.
  void close(Connection& connection);
  Request& take_request();
  WorkerMetrics& metrics() { return shared_.metrics->worker(index_); }
  ControlQuestions& control() { return *shared_.control; }
  TlsContexts& tls() { return *shared_.tls; }
  unsigned index() const { return index_; }
  void log(const AccessLogFormat& format, const RequestRecord& record);
  // The compiled form of a log format; null: the log is off, or there is no format.
  const AccessLogFormat* log_format(const std::optional<std::string>& format);

  // ---- RequestHome
  net::Loop& loop() override { return loop_; }
  Random& random() override { return random_; }
  std::string_view date() override;
  bool listens_at(const net::Address& address) const override;
  void find_address(const std::string& name, net::DnsFamily family, std::function<void(Result<net::Address>)> done) override {
    shared_.control->find_address(index_, name, family, std::move(done));
  }
  void on_request_end(const RequestRecord& record, const RequestOrigin& origin) override;
  void give_back(Request& request) override;
  Shadows& shadows() override { return shadows_; }

 private:
  class AcceptPoint;

  std::uint64_t group_of(const std::string& name);
  void sweep();
  void trim_requests();
  void note_if_drained();

  net::Loop& loop_;
  const unsigned index_;
  const WorkerShared shared_;
  Random random_;
  std::map<ViewId, std::unique_ptr<WorkerView>> views_;
  std::vector<std::unique_ptr<Request>> requests_;    // all that were ever made
  std::vector<Request*> spare_requests_;
  Shadows shadows_{loop_};
  std::map<std::string, std::unique_ptr<AcceptPoint>> accept_points_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> closing_;
  net::Timer sweep_;
  std::map<std::string, std::unique_ptr<const AccessLogFormat>> log_formats_;
  std::uint64_t groups_ = 0;
  std::function<void()> drained_;
  bool draining_ = false;
  std::array<char, http::kDateBytes> date_{};
  std::int64_t date_second_ = -1;
};

}  // namespace lateen::proxy
