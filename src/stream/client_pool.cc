#include "stream/client_pool.h"

#include <utility>
#include <vector>

#include "base/result.h"
#include "stream/h1_client_connection.h"

namespace lateen::stream {

namespace {

class H1ClientPool;

// A waiting request, linked into the queue in place.
struct Waiting final : PendingStream {
  Waiting(H1ClientPool& in, ClientStreamHandler& handler_of_stream, StreamWaiter& who, std::uint64_t order)
      : pool(&in), handler(handler_of_stream), waiter(who), number(order) {}
  ~Waiting() override;

  H1ClientPool* pool;  // null: not in the queue any more
  ClientStreamHandler& handler;
  StreamWaiter& waiter;
  const std::uint64_t number;
  Waiting* previous = nullptr;
  Waiting* next = nullptr;
};

class H1ClientPool final : public ClientPool, private H1ClientConnection::Owner {
 public:
  H1ClientPool(net::Loop& loop, const net::Address& endpoint, const PoolOptions& options,
               ConnectionAdmission& admission)
      : loop_(loop), endpoint_(endpoint), options_(options), admission_(admission) {}
  ~H1ClientPool() override;

  std::unique_ptr<PendingStream> start(ClientStreamHandler& handler, StreamWaiter& waiter) override;
  void drain(std::function<void()> on_empty) override;
  void close_connections_when_idle() override;
  void set_options(const PoolOptions& options) override { options_ = options; }
  std::size_t connections() const override { return open_; }
  bool ready() const override { return idle_ != 0; }
  std::size_t idle_connections() const override { return idle_; }
  std::size_t pending() const override { return waiting_; }

  void leave_queue(Waiting& waiting);

 private:
  void on_connected(H1ClientConnection& connection) override;
  void on_connect_failed(H1ClientConnection& connection, ResetReason reason, std::string_view detail) override;
  void on_free(H1ClientConnection& connection) override;
  void on_closed(H1ClientConnection& connection) override;
  void on_unused(H1ClientConnection& connection) override;

  void open_connections();
  void push_idle(H1ClientConnection& connection);
  void leave_idle(H1ClientConnection& connection);
  void serve();
  void fail_queue(ResetReason reason, std::string_view detail);
  void connection_gone();
  void bury(H1ClientConnection& connection);
  void on_later();
  void run_later();

  net::Loop& loop_;
  const net::Address endpoint_;
  PoolOptions options_;
  ConnectionAdmission& admission_;
  std::vector<std::unique_ptr<H1ClientConnection>> connections_;  // also closed ones that a stream still holds
  std::vector<std::unique_ptr<H1ClientConnection>> dead_;         // deleted after the current event
  H1ClientConnection* idle_top_ = nullptr;                        // the one used last
  Waiting* first_ = nullptr;
  Waiting* last_ = nullptr;
  std::size_t open_ = 0, connecting_ = 0, idle_ = 0, waiting_ = 0;
  std::uint64_t next_number_ = 0;
  bool draining_ = false;
  std::function<void()> on_empty_;
  net::Timer later_;
};

Waiting::~Waiting() {
  if (pool != nullptr) pool->leave_queue(*this);
}

H1ClientPool::~H1ClientPool() {
  draining_ = true;
  fail_queue(ResetReason::kLocal, "connection pool closed");
  while (!connections_.empty()) {
    std::unique_ptr<H1ClientConnection> connection = std::move(connections_.back());
    connections_.pop_back();
    if (!connection->closed()) admission_.release_connection();
  }
}

std::unique_ptr<PendingStream> H1ClientPool::start(ClientStreamHandler& handler, StreamWaiter& waiter) {
  if (draining_) {
    waiter.on_stream_failure(ResetReason::kLocal, "connection pool closed");
    return nullptr;
  }
  if (idle_top_ != nullptr && first_ == nullptr) {
    H1ClientConnection& connection = *idle_top_;
    leave_idle(connection);
    waiter.on_stream_ready(connection.start_stream(handler));
    return nullptr;
  }
  auto waiting = std::make_unique<Waiting>(*this, handler, waiter, next_number_++);
  waiting->previous = last_;
  (last_ != nullptr ? last_->next : first_) = waiting.get();
  last_ = waiting.get();
  ++waiting_;
  open_connections();
  return waiting;
}

void H1ClientPool::leave_queue(Waiting& waiting) {
  (waiting.previous != nullptr ? waiting.previous->next : first_) = waiting.next;
  (waiting.next != nullptr ? waiting.next->previous : last_) = waiting.previous;
  waiting.previous = waiting.next = nullptr;
  waiting.pool = nullptr;
  --waiting_;
}

// One connection for each request that none is being opened for.
void H1ClientPool::open_connections() {
  while (!draining_ && connecting_ + idle_ < waiting_) {
    if (!admission_.try_acquire_connection(open_ == 0)) return;
    ++open_;
    ++connecting_;
    H1ClientConnection::Owner& owner = *this;
    connections_.push_back(std::make_unique<H1ClientConnection>(loop_, endpoint_, options_, owner));
    connections_.back()->index = connections_.size() - 1;
  }
}

void H1ClientPool::push_idle(H1ClientConnection& connection) {
  connection.idle_previous = nullptr;
  connection.idle_next = idle_top_;
  if (idle_top_ != nullptr) idle_top_->idle_previous = &connection;
  idle_top_ = &connection;
  ++idle_;
}

void H1ClientPool::leave_idle(H1ClientConnection& connection) {
  (connection.idle_previous != nullptr ? connection.idle_previous->idle_next : idle_top_) = connection.idle_next;
  if (connection.idle_next != nullptr) connection.idle_next->idle_previous = connection.idle_previous;
  connection.idle_previous = connection.idle_next = nullptr;
  --idle_;
}

// Gives idle connections to those who wait.
void H1ClientPool::serve() {
  while (first_ != nullptr && idle_top_ != nullptr) {
    Waiting& waiting = *first_;
    leave_queue(waiting);
    H1ClientConnection& connection = *idle_top_;
    leave_idle(connection);
    StreamWaiter& waiter = waiting.waiter;
    waiter.on_stream_ready(connection.start_stream(waiting.handler));  // may destroy `waiting`
  }
  open_connections();
}

void H1ClientPool::fail_queue(ResetReason reason, std::string_view detail) {
  const std::uint64_t asked_before = next_number_;  // who asks again meanwhile is not failed for it
  while (first_ != nullptr && first_->number < asked_before) {
    Waiting& waiting = *first_;
    leave_queue(waiting);
    waiting.waiter.on_stream_failure(reason, detail);
  }
}

void H1ClientPool::on_connected(H1ClientConnection& connection) {
  --connecting_;
  admission_.on_connected();
  if (draining_) return connection.close();
  push_idle(connection);
  serve();
}

void H1ClientPool::on_connect_failed(H1ClientConnection& connection, ResetReason reason, std::string_view detail) {
  --connecting_;
  bury(connection);
  admission_.on_connect_failed(reason);
  connection_gone();
  fail_queue(reason, detail);
}

void H1ClientPool::on_free(H1ClientConnection& connection) {
  if (draining_) return connection.close();
  push_idle(connection);
  // Called from inside the end of another request, so the next one starts after it.
  if (first_ != nullptr) run_later();
}

void H1ClientPool::on_closed(H1ClientConnection& connection) {
  // idle_next and idle_previous are both null also for the only idle one.
  if (connection.idle_previous != nullptr || connection.idle_next != nullptr || idle_top_ == &connection) {
    leave_idle(connection);
  }
  connection_gone();
}

void H1ClientPool::on_unused(H1ClientConnection& connection) { bury(connection); }

void H1ClientPool::connection_gone() {
  --open_;
  admission_.release_connection();
  if (first_ != nullptr || (draining_ && open_ == 0)) run_later();
}

void H1ClientPool::bury(H1ClientConnection& connection) {
  const std::size_t index = connection.index;
  dead_.push_back(std::move(connections_[index]));
  if (index + 1 < connections_.size()) {
    connections_[index] = std::move(connections_.back());
    connections_[index]->index = index;
  }
  connections_.pop_back();
  run_later();
}

void H1ClientPool::run_later() {
  if (!later_.armed()) loop_.arm<&H1ClientPool::on_later>(later_, Duration::zero(), this);
}

void H1ClientPool::on_later() {
  dead_.clear();
  serve();
  if (!draining_ || open_ > 0 || !on_empty_) return;
  const std::function<void()> on_empty = std::exchange(on_empty_, nullptr);
  on_empty();  // may destroy the pool
}

void H1ClientPool::close_connections_when_idle() {
  std::vector<H1ClientConnection*> all;
  for (const auto& connection : connections_) {
    if (!connection->closed() && !connection->connecting()) all.push_back(connection.get());
  }
  for (H1ClientConnection* connection : all) connection->retire();
}

void H1ClientPool::drain(std::function<void()> on_empty) {
  draining_ = true;
  on_empty_ = std::move(on_empty);
  std::vector<H1ClientConnection*> connecting;
  for (const auto& connection : connections_) {
    if (connection->connecting()) connecting.push_back(connection.get());
  }
  connecting_ -= connecting.size();
  for (H1ClientConnection* connection : connecting) connection->close();
  close_connections_when_idle();
  fail_queue(ResetReason::kLocal, "connection pool closed");
  run_later();
}

}  // namespace

std::unique_ptr<ClientPool> make_h1_client_pool(net::Loop& loop, const net::Address& endpoint,
                                                const PoolOptions& options, ConnectionAdmission& admission) {
  return std::make_unique<H1ClientPool>(loop, endpoint, options, admission);
}

}  // namespace lateen::stream
