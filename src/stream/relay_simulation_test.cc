// A whole chain in the simulator: clients -> relay -> upstream, each over the real connections of this folder, while the
// network cuts, delays, refuses and resets. The relay forwards streams as the traffic code does: what has been sent on one
// side is consumed on the other.
#include <algorithm>
#include <charconv>
#include <gtest/gtest.h>
#include <list>
#include <memory>
#include <string>

#include "stream/client_pool.h"
#include "stream/server_connection.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;
const net::Address kAnyPort{net::Address::Family::kIpv4, "127.0.0.1", 0};
constexpr std::size_t kPieceBytes = 10'000;

// Byte `i` of body `number`: known everywhere without being kept anywhere.
char byte_of(std::uint64_t number, std::size_t i) { return static_cast<char>('a' + (number * 7 + i * 31 + i / 255) % 26); }
Buffer piece_of(std::uint64_t number, std::size_t from, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = byte_of(number, from + i);
  Buffer buffer;
  buffer.append_copy(text);
  return buffer;
}

// Sends body `number` of a given size in pieces, never more than one piece ahead of the transport.
struct Sender {
  std::uint64_t number = 0;
  std::size_t size = 0, given = 0, taken = 0;
  bool done = false;
  template <class Stream>
  void go_on(Stream& to) {
    while (!done && given - taken < kPieceBytes) {
      const std::size_t piece = std::min(kPieceBytes, size - given);
      given += piece;
      done = given == size;
      to.send_data(piece_of(number, given - piece, piece), done ? End::kYes : End::kNo);
    }
  }
};

// Checks body `number` as it comes.
struct Checker {
  std::uint64_t number = 0;
  std::size_t size = 0;
  bool wrong = false;
  void take(const Buffer& data) {
    for (const Slice& slice : data.slices()) {
      for (const char c : slice.view()) wrong = wrong || c != byte_of(number, size++);
    }
  }
};

struct Unlimited final : ConnectionAdmission {
  std::size_t open = 0;
  bool try_acquire_connection(bool) override { return ++open > 0; }
  void release_connection() override { --open; }
};

// Listens and keeps the connections; a handler an exchange, made by the derived class.
class Site : public ServerStreamAcceptor, private net::ListenSocketEvents {
 public:
  explicit Site(testing::VirtualLoop& loop) : loop_(loop) {}
  void open() { listener_ = *loop_.listen(kAnyPort, {}, *this); }
  net::Address address() const { return listener_->local_address(); }
  void shut() {
    listener_.reset();
    for (const auto& connection : connections_) connection->connection->drain();
  }
  std::size_t connections() const { return connections_.size(); }

 protected:
  testing::VirtualLoop& loop_;

 private:
  struct Open final : ServerStreamAcceptor {
    explicit Open(Site& owner) : site(owner) {}
    ServerStreamHandler* on_request(ServerStream& stream, End end) override { return site.on_request(stream, end); }
    void on_refused(std::uint16_t, std::string_view) override { ADD_FAILURE() << "a legal request was refused"; }
    void on_connection_closed() override {
      site.loop_.defer([this] { site.connections_.remove_if([this](const auto& open) { return open.get() == this; }); });
    }
    Site& site;
    std::unique_ptr<ServerConnection> connection;
  };
  void on_refused(std::uint16_t, std::string_view) override {}
  void on_connection_closed() override {}
  void on_accept(std::unique_ptr<net::Socket> socket) override {
    connections_.push_back(std::make_unique<Open>(*this));
    Open& open = *connections_.back();
    open.connection = make_server_connection(loop_, std::move(socket), open, {});
  }
  std::unique_ptr<net::ListenSocket> listener_;
  std::list<std::unique_ptr<Open>> connections_;
};

// Answers "/number/size/framing": checks the request's body, then sends body number + 1 of that size.
class Upstream final : public Site {
 public:
  using Site::Site;
  std::size_t wrong = 0, live = 0;

 private:
  struct Exchange final : ServerStreamHandler {
    Exchange(Upstream& owner, ServerStream& in) : upstream(owner), stream(&in) {
      const std::string_view path = in.request().path;
      const std::size_t slash = path.find('/', 1);
      std::from_chars(path.data() + 1, path.data() + slash, checker.number);
      std::from_chars(path.data() + slash + 1, path.data() + path.size(), sender.size);
      sender.number = checker.number + 1;
      ++upstream.live;
    }
    void on_data(Buffer data, End end) override {
      checker.take(data);
      stream->consumed(data.size());
      if (end == End::kYes) answer();
    }
    void on_trailers(http::HeaderMap) override { answer(); }
    void answer() {
      http::ResponseHead head;
      head.status = 200;
      if (checker.number % 2 == 0) head.headers.add("content-length", std::to_string(sender.size));
      stream->send_headers(head, End::kNo);
      sender.go_on(*stream);
    }
    void on_sent(std::size_t bytes) override {
      sender.taken += bytes;
      if (!sender.done) sender.go_on(*stream);
    }
    void on_reset(ResetReason) override { end(); }
    void on_complete() override { end(); }
    void end() {
      upstream.wrong += checker.wrong ? 1 : 0;
      --upstream.live;
      delete this;
    }
    Upstream& upstream;
    ServerStream* stream;
    Checker checker;
    Sender sender;
  };
  ServerStreamHandler* on_request(ServerStream& stream, End end) override {
    auto* exchange = new Exchange(*this, stream);  // deletes itself in its last call
    if (end == End::kYes) exchange->answer();
    return exchange;
  }
};

// Forwards every request to the pool. Two objects an exchange, because both sides have calls of the same name.
class Relay final : public Site {
 public:
  Relay(testing::VirtualLoop& loop, ClientPool& pool) : Site(loop), pool_(pool) {}
  std::size_t live = 0, held_max = 0;

 private:
  struct Downstream;
  struct Upward final : ClientStreamHandler, StreamWaiter {
    explicit Upward(Downstream& of) : down(of) {}
    void on_stream_ready(std::unique_ptr<ClientStream> ready) override {
      pending.reset();
      stream = std::move(ready);
      const bool whole = down.request_ended && kept.empty();
      stream->send_headers(down.stream->request(), whole ? End::kYes : End::kNo);
      if (!kept.empty()) stream->send_data(std::move(kept), down.request_ended ? End::kYes : End::kNo);
    }
    void on_stream_failure(ResetReason, std::string_view) override {
      pending.reset();
      down.fail();
    }
    void on_informational(http::ResponseHead) override {}
    void on_headers(http::ResponseHead head, End end) override {
      down.answer_begun = true;
      down.stream->send_headers(head, end);
      if (end == End::kYes) stream.reset();
    }
    void on_data(Buffer data, End end) override {
      unsent += data.size();
      down.relay.held_max = std::max(down.relay.held_max, unsent);
      down.stream->send_data(std::move(data), end);
      if (end == End::kYes) stream.reset();
    }
    void on_trailers(http::HeaderMap) override { ADD_FAILURE() << "nobody sends trailers"; }
    void on_reset(ResetReason, bool, std::string_view) override {
      stream.reset();
      down.fail();
    }
    void on_sent(std::size_t bytes) override {
      down.unsent -= bytes;
      down.stream->consumed(bytes);
    }
    Downstream& down;
    std::unique_ptr<PendingStream> pending;
    std::unique_ptr<ClientStream> stream;
    Buffer kept;              // until the stream is there
    std::size_t unsent = 0;   // of the response, not yet taken by the client's socket
  };
  struct Downstream final : ServerStreamHandler {
    Downstream(Relay& owner, ServerStream& in, End end)
        : relay(owner), stream(&in), request_ended(end == End::kYes), up(*this) {
      ++relay.live;
    }
    ~Downstream() override { --relay.live; }
    void on_data(Buffer data, End end) override {
      request_ended = end == End::kYes;
      if (answered_by_relay) return stream->consumed(data.size());
      unsent += data.size();
      relay.held_max = std::max(relay.held_max, unsent);
      if (up.stream) {
        up.stream->send_data(std::move(data), end);
      } else if (up.pending) {
        up.kept.append(std::move(data));
      } else {
        stream->consumed(data.size());  // the answer is complete, the rest of the body is of no use
      }
    }
    void on_trailers(http::HeaderMap) override { ADD_FAILURE() << "nobody sends trailers"; }
    void on_reset(ResetReason) override { delete this; }
    void on_complete() override { delete this; }
    void on_sent(std::size_t bytes) override {
      up.unsent -= bytes;
      if (up.stream) up.stream->consumed(bytes);
    }
    void fail() {
      if (answer_begun) {
        stream->reset();
        delete this;
        return;
      }
      answered_by_relay = true;
      http::ResponseHead head;
      head.status = 503;
      stream->consumed(std::exchange(unsent, 0));
      stream->send_headers(head, End::kYes);
    }
    Relay& relay;
    ServerStream* stream;
    bool request_ended, answer_begun = false, answered_by_relay = false;
    std::size_t unsent = 0;   // of the request, not yet taken by the upstream's socket
    Upward up;
  };
  ServerStreamHandler* on_request(ServerStream& stream, End end) override {
    auto* exchange = new Downstream(*this, stream, end);  // deletes itself in its last call
    exchange->up.pending = pool_.start(exchange->up, exchange->up);
    return exchange;
  }
  ClientPool& pool_;
};

// One request of a client, checked to the last byte.
struct Request final : StreamWaiter, ClientStreamHandler {
  Request(std::uint64_t number, std::size_t request_bytes, std::size_t response_bytes) {
    sender.number = number;
    sender.size = request_bytes;
    checker.number = number + 1;
    response_size = response_bytes;
  }
  void start(ClientPool& pool) { pending = pool.start(*this, *this); }
  void on_stream_ready(std::unique_ptr<ClientStream> ready) override {
    pending.reset();
    stream = std::move(ready);
    const std::string path = "/" + std::to_string(sender.number) + "/" + std::to_string(response_size);
    http::RequestHead head;
    head.method = sender.size > 0 ? "POST" : "GET";
    head.path = path;
    head.authority = "sim";
    if (sender.size > 0 && sender.number % 3 == 0) head.headers.add("content-length", std::to_string(sender.size));
    stream->send_headers(head, sender.size > 0 ? End::kNo : End::kYes);
    if (sender.size > 0) sender.go_on(*stream);
  }
  void on_stream_failure(ResetReason, std::string_view) override { end(Outcome::kFailed); }
  void on_informational(http::ResponseHead) override {}
  void on_headers(http::ResponseHead head, End last) override {
    status = head.status;
    if (last == End::kYes) end(Outcome::kAnswered);
  }
  void on_data(Buffer data, End last) override {
    checker.take(data);
    stream->consumed(data.size());
    if (last == End::kYes) end(Outcome::kAnswered);
  }
  void on_trailers(http::HeaderMap) override { end(Outcome::kAnswered); }
  void on_reset(ResetReason, bool, std::string_view) override { end(Outcome::kFailed); }
  void on_sent(std::size_t bytes) override {
    sender.taken += bytes;
    if (!sender.done && stream) sender.go_on(*stream);
  }
  enum class Outcome { kNone, kAnswered, kFailed, kGivenUp };
  void end(Outcome how) {
    EXPECT_EQ(outcome, Outcome::kNone) << "more than one outcome";
    outcome = how;
    pending.reset();
    stream.reset();
  }
  // What is wrong with it, or "".
  std::string verdict() const {
    if (outcome == Outcome::kNone) return "no outcome";
    if (checker.wrong) return "wrong bytes";
    if (outcome == Outcome::kAnswered && status == 200 && checker.size != response_size) return "wrong length";
    if (outcome == Outcome::kAnswered && status != 200 && status != 503) return "status " + std::to_string(status);
    return "";
  }
  std::unique_ptr<PendingStream> pending;
  std::unique_ptr<ClientStream> stream;
  Sender sender;
  Checker checker;
  std::size_t response_size = 0;
  int status = 0;
  Outcome outcome = Outcome::kNone;
};

struct Tally {
  std::size_t answered = 0, failed = 0;
};

// What is spoken on the two ways.
struct Ways {
  PoolProtocol to_relay, to_upstream;
};
constexpr Ways kWays[] = {{PoolProtocol::kHttp1, PoolProtocol::kHttp1},
                          {PoolProtocol::kHttp1, PoolProtocol::kHttp2},
                          {PoolProtocol::kHttp2, PoolProtocol::kHttp1},
                          {PoolProtocol::kHttp2, PoolProtocol::kHttp2}};

Tally run(std::uint64_t seed, const testing::NetworkOptions& options, const Ways& ways) {
  testing::VirtualNetwork network(seed, options);
  testing::VirtualLoop client_loop(network), relay_loop(network), upstream_loop(network);
  Unlimited client_admission, relay_admission;
  Tally result;
  {
    Upstream upstream(upstream_loop);
    upstream.open();
    PoolOptions pool_options;
    pool_options.connect_timeout = 1s;
    pool_options.max_requests_per_connection = seed % 3 == 0 ? 5 : 0;
    pool_options.protocol = ways.to_upstream;
    auto to_upstream = make_client_pool(relay_loop, upstream.address(), pool_options, relay_admission);
    Relay relay(relay_loop, *to_upstream);
    relay.open();
    PoolOptions client_options;
    client_options.protocol = ways.to_relay;
    client_options.http2_streams_max = seed % 2 == 0 ? 4 : 0;
    auto to_relay = make_client_pool(client_loop, relay.address(), client_options, client_admission);

    std::vector<std::unique_ptr<Request>> requests;
    for (int i = 0; i < 30; ++i) {
      const auto size = [&] {
        const std::uint64_t kind = network.random() % 4;
        return kind == 0 ? std::size_t{0} : static_cast<std::size_t>(network.random_between(1, kind == 3 ? 200'000 : 2'000));
      };
      const std::size_t request_size = size(), response_size = size();
      requests.push_back(std::make_unique<Request>(network.random() % 1'000'000, request_size, response_size));
      Request& request = *requests.back();
      const Duration when(static_cast<Duration::rep>(network.random_between(0, 50'000'000)));
      network.after(when, [&] { request.start(*to_relay); });
      if (network.happens(100'000)) {
        network.after(when + Duration(static_cast<Duration::rep>(network.random_between(0, 30'000'000))), [&] {
          if (request.outcome == Request::Outcome::kNone && (request.pending || request.stream)) request.end(Request::Outcome::kGivenUp);
        });
      }
    }
    network.run_for(60s);
    for (const auto& request : requests) {
      EXPECT_EQ(request->verdict(), "") << "seed " << seed << ", request " << request->sender.number;
      result.answered += request->outcome == Request::Outcome::kAnswered && request->status == 200 ? 1 : 0;
      result.failed += request->outcome == Request::Outcome::kFailed || request->status == 503 ? 1 : 0;
    }
    EXPECT_EQ(upstream.wrong, 0u) << "seed " << seed;
    EXPECT_LE(relay.held_max, kStreamWindowBytes) << "seed " << seed;
    EXPECT_EQ(relay.live, 0u) << "seed " << seed;
    EXPECT_EQ(upstream.live, 0u) << "seed " << seed;

    to_relay->drain(nullptr);
    to_upstream->drain(nullptr);
    relay.shut();
    upstream.shut();
    network.run_for(60s);
    EXPECT_EQ(relay.connections(), 0u) << "seed " << seed;
    EXPECT_EQ(upstream.connections(), 0u) << "seed " << seed;
    EXPECT_EQ(network.open_sockets(), 0u) << "seed " << seed;
  }
  EXPECT_EQ(client_admission.open, 0u) << "seed " << seed;
  EXPECT_EQ(relay_admission.open, 0u) << "seed " << seed;
  return result;
}

TEST(RelaySimulation, WhereNothingGoesWrongEveryRequestIsAnsweredToTheLastByte) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    testing::NetworkOptions options;
    options.pipe_bytes = 500 + seed * 1013 % 60'000;
    for (const Ways& ways : kWays) EXPECT_EQ(run(seed, options, ways).failed, 0u) << "seed " << seed;
  }
}

TEST(RelaySimulation, WhereConnectionsAreRefusedAndResetNothingIsFalsifiedDoubledOrLeftBehind) {
  std::size_t answered[std::size(kWays)] = {}, failed[std::size(kWays)] = {};
  for (std::uint64_t seed = 1000; seed <= 1070; ++seed) {
    testing::NetworkOptions options;
    options.pipe_bytes = 500 + seed * 1013 % 60'000;
    options.reset_per_million = 3'000;
    options.refuse_per_million = 30'000;
    options.lose_per_million = 10'000;
    for (std::size_t way = 0; way < std::size(kWays); ++way) {
      const Tally result = run(seed, options, kWays[way]);
      answered[way] += result.answered;
      failed[way] += result.failed;
    }
  }
  for (std::size_t way = 0; way < std::size(kWays); ++way) {
    EXPECT_GT(answered[way], 500u) << way;
    EXPECT_GT(failed[way], 50u) << way;
  }
}

}  // namespace
}  // namespace lateen::stream
