#include "cli/exec_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "cli/exec_connection.h"

namespace lateen::cli {

namespace {

using net::Descriptor;

struct Session {
  explicit Session(Descriptor socket) : connection(std::move(socket)) {}
  ExecConnection connection;
  bool greeted = false;  // on_hello has been posted, so on_closed is owed
  bool closing = false;  // after an ExecError: what is queued is written, and no more
  bool cut = false;      // it does not read, or cannot be told: it ends at once
};

class Server final : public ExecServer {
 public:
  Server(net::Loop& loop, std::size_t queued_bytes_max, std::string path, Descriptor listener, Descriptor wake, Events events)
      : loop_(loop), queued_bytes_max_(queued_bytes_max), path_(std::move(path)), listener_(std::move(listener)), wake_(std::move(wake)), events_(std::move(events)) {
    thread_ = std::thread([this] { serve(); });
  }

  ~Server() override {
    stopping_ = true;
    wake();
    thread_.join();
    ::unlink(path_.c_str());
  }

  const std::string& path() const override { return path_; }

  Result<void> post(SessionId session, const ExecMessage& message) override {
    if (const auto* list = std::get_if<ExecServices>(&message); list != nullptr && list->services.size() > kExecServicesMax) {
      return fail(ErrorCode::kOverLimit, "more than " + std::to_string(kExecServicesMax) + " services");
    }
    {
      const std::lock_guard lock(mutex_);
      to_write_.emplace_back(session, message);
    }
    wake();
    return {};
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then the thread is awake already.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
  }

  // Runs `work` on the loop's thread, unless the server is gone by then.
  template <class Work>
  void on_loop(Work work) {
    loop_.mailbox().post([alive = std::weak_ptr<const bool>(alive_), work = std::move(work)] {
      if (!alive.expired()) work();
    });
  }

  void serve();
  void accept_waiting();
  void queue_posted();
  bool serve_session(SessionId id, Session& session, short events);
  bool take(SessionId id, Session& session, ExecConnection::Incoming incoming);

  net::Loop& loop_;
  const std::size_t queued_bytes_max_;
  const std::string path_;
  const Descriptor listener_;
  const Descriptor wake_;
  const Events events_;                                      // called on the loop's thread only
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<std::pair<SessionId, ExecMessage>> to_write_;  // guarded by mutex_
  std::map<SessionId, Session> sessions_;                    // the thread's own
  SessionId next_id_ = 1;
  std::thread thread_;
};

void Server::serve() {
  std::vector<pollfd> waits;
  std::vector<SessionId> ids;
  while (!stopping_) {
    waits.assign({{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}});
    ids.clear();
    for (const auto& [id, session] : sessions_) {
      const int reads = session.closing ? 0 : POLLIN;
      const int writes = session.connection.wants_to_write() ? POLLOUT : 0;
      waits.push_back({session.connection.descriptor(), static_cast<short>(reads | writes), 0});
      ids.push_back(id);
    }
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof(count));
      queue_posted();
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto found = sessions_.find(ids[i]);
      if (found == sessions_.end() || serve_session(found->first, found->second, waits[i + 2].revents)) continue;
      if (found->second.greeted) on_loop([this, id = ids[i]] { events_.on_closed(id); });
      sessions_.erase(found);
    }
    if (waits[1].revents != 0) accept_waiting();
  }
}

void Server::accept_waiting() {
  for (;;) {
    auto accepted = net::accept_unix(listener_.get());
    if (!accepted || !accepted->valid()) return;
    const auto user = net::peer_user(accepted->get());
    // Root may speak for everybody; it could read our memory anyhow.
    if (!user || (*user != ::geteuid() && *user != 0)) continue;
    if (sessions_.size() >= kSessionsMax) {
      ExecConnection refused(std::move(*accepted));
      const ExecError error{"the mesh already has " + std::to_string(kSessionsMax) + " exec sessions"};
      if (refused.queue(error)) [[maybe_unused]] const auto flushed = refused.flush();
      continue;
    }
    sessions_.emplace(next_id_++, Session(std::move(*accepted)));
  }
}

void Server::queue_posted() {
  std::vector<std::pair<SessionId, ExecMessage>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(to_write_);
  }
  for (const auto& [id, message] : posted) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second.closing || found->second.cut) continue;
    Session& session = found->second;
    const bool queued = session.connection.queue(message).has_value();
    session.closing = std::holds_alternative<ExecError>(message);
    session.cut = !queued || session.connection.queued_bytes() > queued_bytes_max_;
  }
}

// False: the session is over.
bool Server::serve_session(SessionId id, Session& session, short events) {
  if (session.cut || !session.connection.flush()) return false;
  if (session.closing) return session.connection.wants_to_write();
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return true;
  auto received = session.connection.receive();
  if (!received) return false;
  for (ExecConnection::Incoming& incoming : *received) {
    if (!take(id, session, std::move(incoming))) return false;
  }
  return true;
}

bool Server::take(SessionId id, Session& session, ExecConnection::Incoming incoming) {
  if (const auto* hello = std::get_if<ExecHello>(&incoming.message)) {
    if (session.greeted) return false;
    if (hello->protocol != kExecProtocol) {
      const ExecError error{"this mesh speaks version " + std::to_string(kExecProtocol) + " of the exec protocol, lateen exec version " +
                            std::to_string(hello->protocol) + "; use the same lateen for both"};
      if (!session.connection.queue(error) || !session.connection.flush()) return false;
      session.closing = true;
      return session.connection.wants_to_write();
    }
    session.greeted = true;
    on_loop([this, id, hello = *hello] { events_.on_hello(id, hello); });
    return true;
  }
  const auto* sockets = std::get_if<ExecSockets>(&incoming.message);
  if (sockets == nullptr || !session.greeted) return false;
  std::vector<int> handed;
  for (Descriptor& descriptor : incoming.descriptors) handed.push_back(descriptor.release());
  loop_.mailbox().post([this, alive = std::weak_ptr<const bool>(alive_), id, sockets = *sockets, handed = std::move(handed)] {
    if (!alive.expired()) return events_.on_sockets(id, sockets, handed);
    for (const int descriptor : handed) ::close(descriptor);
  });
  return true;
}

}  // namespace

Result<std::unique_ptr<ExecServer>> ExecServer::start(net::Loop& loop, const Options& options, Events events) {
  LATEEN_TRY_VOID(net::make_private_directory(options.directory));
  const std::string path = options.directory + "/" + options.name;
  LATEEN_TRY(Descriptor listener, net::listen_unix(path));
  Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail(ErrorCode::kSystem, "eventfd");
  return std::make_unique<Server>(loop, options.queued_bytes_max, path, std::move(listener), std::move(wake), std::move(events));
}

}  // namespace lateen::cli
