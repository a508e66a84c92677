#include "stream/client_pool.h"

#include <utility>
#include <vector>

#include "base/result.h"
#include "stream/dial.h"
#include "stream/h1_client_connection.h"
#include "stream/h2_client_connection.h"

namespace lateen::stream {

namespace {

class Pool;

// A waiting request, linked into the queue in place.
struct Waiting final : PendingStream {
  Waiting(Pool& in, ClientStreamHandler& handler_of_stream, StreamWaiter& who, std::uint64_t order)
      : pool(&in), handler(handler_of_stream), waiter(who), number(order) {}
  ~Waiting() override;

  Pool* pool;  // null: not in the queue any more
  ClientStreamHandler& handler;
  StreamWaiter& waiter;
  const std::uint64_t number;
  Waiting* previous = nullptr;
  Waiting* next = nullptr;
};

constexpr std::string_view kClosed = "connection pool closed";

// Dials, and keeps what comes of it: connections of HTTP/1.1, of HTTP/2, or of both.
class Pool final : public ClientPool, private Dial::Owner, private H1ClientConnection::Owner, private H2ClientConnection::Owner {
 public:
  Pool(net::Loop& loop, const net::Address& endpoint, const PoolOptions& options,
               ConnectionAdmission& admission)
      : loop_(loop), endpoint_(endpoint), options_(options), admission_(admission) {}
  ~Pool() override;

  std::unique_ptr<PendingStream> start(ClientStreamHandler& handler, StreamWaiter& waiter) override;
  void drain(std::function<void()> on_empty) override;
  void close_connections_when_idle() override;
  void set_options(const PoolOptions& options) override { options_ = options; }
  std::size_t connections() const override { return open_; }
  bool ready() const override { return first_ == nullptr && (idle_ != 0 || with_room() != nullptr); }
  std::size_t idle_connections() const override;
  std::size_t pending() const override { return waiting_; }

  void leave_queue(Waiting& waiting);

 private:
  // What ALPN has chosen before: how many requests a connection that is being made will serve.
  enum class Learned : std::uint8_t { kNothing, kHttp1, kHttp2 };

  // Dial::Owner
  void on_connected(Dial& dial, std::unique_ptr<net::Socket> socket) override;
  void on_connect_failed(Dial& dial, ResetReason reason, std::string_view detail) override;
  // H1ClientConnection::Owner
  void on_free(H1ClientConnection& connection) override;
  void on_closed(H1ClientConnection& connection) override;
  void on_unused(H1ClientConnection& connection) override { bury(h1_, connection.index, dead_h1_); }
  // H2ClientConnection::Owner
  void on_room(H2ClientConnection&) override;
  void on_closed(H2ClientConnection&) override { connection_gone(); }
  void on_unused(H2ClientConnection& connection) override { bury(h2_, connection.index, dead_h2_); }

  std::size_t requests_per_dial() const;
  H2ClientConnection* with_room() const;
  std::unique_ptr<ClientStream> start_now(ClientStreamHandler& handler);
  void open_connections();
  void push_idle(H1ClientConnection& connection);
  void leave_idle(H1ClientConnection& connection);
  void serve();
  void fail_queue(ResetReason reason, std::string_view detail);
  void fail_leaving();
  void connection_gone();
  // Takes one out of `from`; it is deleted after the current event.
  template <class T>
  void bury(std::vector<std::unique_ptr<T>>& from, std::size_t index, std::vector<std::unique_ptr<T>>& into);
  void on_later();
  void run_later();

  net::Loop& loop_;
  const net::Address endpoint_;
  PoolOptions options_;
  ConnectionAdmission& admission_;
  std::vector<std::unique_ptr<Dial>> dials_, dead_dials_;         // dead ones are deleted after the current event
  std::vector<std::unique_ptr<H1ClientConnection>> h1_, dead_h1_; // also closed ones that a stream still holds
  std::vector<std::unique_ptr<H2ClientConnection>> h2_, dead_h2_; // also these
  H1ClientConnection* idle_top_ = nullptr;                        // the one used last
  Waiting* first_ = nullptr;
  Waiting* last_ = nullptr;
  std::size_t open_ = 0, idle_ = 0, waiting_ = 0;                 // connections, idle ones of HTTP/1.1, requests
  Learned learned_ = Learned::kNothing;
  std::uint64_t next_number_ = 0;
  bool draining_ = false;
  std::function<void()> on_empty_;
  net::Timer later_;
};

Waiting::~Waiting() {
  if (pool != nullptr) pool->leave_queue(*this);
}

Pool::~Pool() {
  draining_ = true;
  fail_queue(ResetReason::kLocal, kClosed);
  dials_.clear();
  // One at a time: who is told kLocal may let go of others.
  while (!h1_.empty()) {
    const std::unique_ptr<H1ClientConnection> connection = std::move(h1_.back());
    h1_.pop_back();
  }
  while (!h2_.empty()) {
    const std::unique_ptr<H2ClientConnection> connection = std::move(h2_.back());
    h2_.pop_back();
  }
  for (; open_ > 0; --open_) admission_.release_connection();
}

std::unique_ptr<PendingStream> Pool::start(ClientStreamHandler& handler, StreamWaiter& waiter) {
  if (draining_) {
    waiter.on_stream_failure(ResetReason::kLocal, kClosed);
    return nullptr;
  }
  if (ready()) {
    waiter.on_stream_ready(start_now(handler));
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

void Pool::leave_queue(Waiting& waiting) {
  (waiting.previous != nullptr ? waiting.previous->next : first_) = waiting.next;
  (waiting.next != nullptr ? waiting.next->previous : last_) = waiting.previous;
  waiting.previous = waiting.next = nullptr;
  waiting.pool = nullptr;
  --waiting_;
}

std::size_t Pool::requests_per_dial() const {
  const std::size_t streams = options_.http2_streams_max != 0 ? options_.http2_streams_max : http::kH2PeerStreamsAssumed;
  switch (options_.protocol) {
    case PoolProtocol::kHttp1: return 1;
    case PoolProtocol::kHttp2: return streams;
    case PoolProtocol::kAlpn: break;
  }
  return learned_ == Learned::kHttp1 ? 1 : streams;
}

// Connections for the requests that none is being made for.
void Pool::open_connections() {
  while (dials_.size() * requests_per_dial() + idle_ < waiting_) {
    if (!admission_.try_acquire_connection(open_ == 0)) return;
    ++open_;
    Dial::Owner& owner = *this;
    dials_.push_back(std::make_unique<Dial>(loop_, endpoint_, options_, owner));
    dials_.back()->index = dials_.size() - 1;
  }
}

// The streams go to few connections, the oldest first.
H2ClientConnection* Pool::with_room() const {
  for (const auto& connection : h2_) {
    if (connection->room() > 0) return connection.get();
  }
  return nullptr;
}

std::unique_ptr<ClientStream> Pool::start_now(ClientStreamHandler& handler) {
  if (idle_top_ == nullptr) return with_room()->start_stream(handler);
  H1ClientConnection& connection = *idle_top_;
  leave_idle(connection);
  return connection.start_stream(handler);
}

std::size_t Pool::idle_connections() const {
  std::size_t idle = idle_;
  for (const auto& connection : h2_) idle += !connection->closed() && connection->idle() ? 1 : 0;
  return idle;
}

void Pool::push_idle(H1ClientConnection& connection) {
  connection.idle_previous = nullptr;
  connection.idle_next = idle_top_;
  if (idle_top_ != nullptr) idle_top_->idle_previous = &connection;
  idle_top_ = &connection;
  ++idle_;
}

void Pool::leave_idle(H1ClientConnection& connection) {
  (connection.idle_previous != nullptr ? connection.idle_previous->idle_next : idle_top_) = connection.idle_next;
  if (connection.idle_next != nullptr) connection.idle_next->idle_previous = connection.idle_previous;
  connection.idle_previous = connection.idle_next = nullptr;
  --idle_;
}

// Gives what there is to those who wait.
void Pool::serve() {
  while (first_ != nullptr && (idle_top_ != nullptr || with_room() != nullptr)) {
    Waiting& waiting = *first_;
    leave_queue(waiting);
    StreamWaiter& waiter = waiting.waiter;
    waiter.on_stream_ready(start_now(waiting.handler));  // may destroy `waiting`
  }
  open_connections();
}

void Pool::fail_queue(ResetReason reason, std::string_view detail) {
  const std::uint64_t asked_before = next_number_;  // who asks again meanwhile is not failed for it
  while (first_ != nullptr && first_->number < asked_before) {
    Waiting& waiting = *first_;
    leave_queue(waiting);
    waiting.waiter.on_stream_failure(reason, detail);
  }
}

// Those who leave a draining pool. Who is told may let go of others.
void Pool::fail_leaving() {
  const auto next_leaving = [this] {
    Waiting* waiting = first_;
    while (waiting != nullptr && !waiting->waiter.leaves_draining_pool()) waiting = waiting->next;
    return waiting;
  };
  while (Waiting* const waiting = next_leaving()) {
    leave_queue(*waiting);
    waiting->waiter.on_stream_failure(ResetReason::kLocal, kClosed);
  }
}

void Pool::on_connected(Dial& dial, std::unique_ptr<net::Socket> socket) {
  bury(dials_, dial.index, dead_dials_);
  admission_.on_connected();
  if (draining_ && first_ == nullptr) return connection_gone();
  const bool is_h2 = options_.protocol == PoolProtocol::kHttp2 ||
                     (options_.protocol == PoolProtocol::kAlpn && socket->application_protocol() == "h2");
  learned_ = is_h2 ? Learned::kHttp2 : Learned::kHttp1;
  if (is_h2) {
    H2ClientConnection::Owner& owner = *this;
    h2_.push_back(std::make_unique<H2ClientConnection>(loop_, std::move(socket), endpoint_, options_, owner));
    h2_.back()->index = h2_.size() - 1;
  } else {
    H1ClientConnection::Owner& owner = *this;
    h1_.push_back(std::make_unique<H1ClientConnection>(loop_, std::move(socket), endpoint_, options_, owner));
    h1_.back()->index = h1_.size() - 1;
    push_idle(*h1_.back());
  }
  serve();
  if (draining_) close_connections_when_idle();
}

void Pool::on_connect_failed(Dial& dial, ResetReason reason, std::string_view detail) {
  bury(dials_, dial.index, dead_dials_);
  admission_.on_connect_failed(reason);
  connection_gone();
  fail_queue(reason, detail);
}

void Pool::on_room(H2ClientConnection&) {
  // Called from inside the end of another request, so the next one starts after it.
  if (first_ != nullptr) run_later();
}

void Pool::on_free(H1ClientConnection& connection) {
  if (draining_) return connection.close();
  push_idle(connection);
  // Called from inside the end of another request, so the next one starts after it.
  if (first_ != nullptr) run_later();
}

void Pool::on_closed(H1ClientConnection& connection) {
  // idle_next and idle_previous are both null also for the only idle one.
  if (connection.idle_previous != nullptr || connection.idle_next != nullptr || idle_top_ == &connection) {
    leave_idle(connection);
  }
  connection_gone();
}

void Pool::connection_gone() {
  --open_;
  admission_.release_connection();
  if (first_ != nullptr || (draining_ && open_ == 0)) run_later();
}

template <class T>
void Pool::bury(std::vector<std::unique_ptr<T>>& from, std::size_t index, std::vector<std::unique_ptr<T>>& into) {
  into.push_back(std::move(from[index]));
  if (index + 1 < from.size()) {
    from[index] = std::move(from.back());
    from[index]->index = index;
  }
  from.pop_back();
  run_later();
}

void Pool::run_later() {
  if (!later_.armed()) loop_.arm<&Pool::on_later>(later_, Duration::zero(), this);
}

void Pool::on_later() {
  dead_dials_.clear();
  dead_h1_.clear();
  dead_h2_.clear();
  serve();
  if (!draining_ || open_ > 0 || !on_empty_) return;
  const std::function<void()> on_empty = std::exchange(on_empty_, nullptr);
  on_empty();  // may destroy the pool
}

void Pool::close_connections_when_idle() {
  std::vector<H1ClientConnection*> h1;
  for (const auto& connection : h1_) {
    if (!connection->closed()) h1.push_back(connection.get());
  }
  std::vector<H2ClientConnection*> h2;
  for (const auto& connection : h2_) {
    if (!connection->closed()) h2.push_back(connection.get());
  }
  for (H1ClientConnection* connection : h1) connection->retire();
  for (H2ClientConnection* connection : h2) connection->retire();
}

void Pool::drain(std::function<void()> on_empty) {
  draining_ = true;
  on_empty_ = std::move(on_empty);
  fail_leaving();
  if (first_ == nullptr) {
    const std::vector<std::unique_ptr<Dial>> dials = std::move(dials_);
    dials_.clear();
    for (std::size_t i = 0; i < dials.size(); ++i) connection_gone();
  }
  close_connections_when_idle();
  run_later();
}

}  // namespace

std::unique_ptr<ClientPool> make_client_pool(net::Loop& loop, const net::Address& endpoint, const PoolOptions& options,
                                             ConnectionAdmission& admission) {
  return std::make_unique<Pool>(loop, endpoint, options, admission);
}

std::unique_ptr<ClientPool> make_h1_client_pool(net::Loop& loop, const net::Address& endpoint,
                                                const PoolOptions& options, ConnectionAdmission& admission) {
  PoolOptions http1 = options;
  http1.protocol = PoolProtocol::kHttp1;
  return std::make_unique<Pool>(loop, endpoint, http1, admission);
}

}  // namespace lateen::stream
