// The HTTP/2 sessions of both ends: no read out of bounds, every stream is closed once, nothing is told of a stream after
// its end, and the same outcome whether the bytes come at once, one by one, or cut where the input says.
//
// The input is what the other end sends behind its preface and SETTINGS, frame after frame: most inputs would otherwise end
// at a bad length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/h2_client_session.h"
#include "http/h2_session.h"

namespace {

using namespace lateen;
using namespace lateen::http;

constexpr std::size_t kRequests = 4;
constexpr std::size_t kProducedBytesMax = 1 << 20;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string text_of(const HeaderMap& headers) {
  std::string text;
  for (const Header& header : headers.fields()) {
    text.append(header.name).append("=").append(header.value).append(";");
  }
  return text;
}

// What became of the streams, each apart.
struct Log {
  std::map<H2StreamId, std::string> streams;
  std::map<H2StreamId, int> closed;
  std::string& of(H2StreamId id) {
    require(closed[id] == 0);
    return streams[id];
  }
  std::string text() const {
    std::string all;
    for (const auto& [id, line] : streams) all += std::to_string(id) + ":" + line + "\n";
    return all;
  }
};

// Answers every request at its end, with its own body's length.
class Server final : public H2SessionEvents {
 public:
  Server() : session_(*this, {.limits = {.bytes_max = 4096, .fields_max = 20}, .extended_connect = true}) {}

  void feed(std::string_view bytes) {
    if (!broken_) broken_ = !session_.receive(bytes, Time{} + std::chrono::seconds(1));
    dead_.clear();
  }
  void produce() {
    if (!broken_) broken_ = !session_.produce(kProducedBytesMax);
    dead_.clear();
  }
  Log log;

 private:
  struct Stream final : H2StreamEvents {
    Stream(Server& owner, std::unique_ptr<H2Exchange> made) : server(owner), exchange(std::move(made)) {
      const RequestHead& head = exchange->head;
      std::string& line = server.log.of(exchange->id);
      line.append(head.method).append(" ").append(head.authority).append(head.path).append(" ").append(text_of(head.headers));
      require(!head.method.empty());
      require(head.method == "CONNECT" || head.path == "*" || head.path.starts_with('/'));
      if (!exchange->has_body) answer();
    }
    void on_data(std::string_view bytes) override {
      server.log.of(exchange->id).append(bytes);
      server.session_.consume(exchange->id, bytes.size());
    }
    void on_end() override {
      server.log.of(exchange->id) += ".";
      answer();
    }
    void on_trailers(HeaderMap trailers) override {
      server.log.of(exchange->id) += "!" + text_of(trailers);
      answer();
    }
    void answer() {
      ResponseHead head;
      head.status = 200;
      OutgoingFraming framing;
      framing.body = BodyKind::kChunked;
      server.session_.submit_response(*exchange, head, framing, false);
      server.session_.offer(*exchange, 10, true);
    }
    void write_body(std::size_t bytes) override { written += bytes; require(written <= 10); }
    void on_end_sent() override {}
    void on_closed(H2Close) override {
      require(++server.log.closed[exchange->id] == 1);
      const auto found = server.streams_.find(exchange->id);
      require(found != server.streams_.end());
      server.dead_.push_back(std::move(found->second));
      server.streams_.erase(found);
    }
    Server& server;
    const std::unique_ptr<H2Exchange> exchange;
    std::size_t written = 0;
  };
  H2StreamEvents* on_request(std::unique_ptr<H2Exchange> exchange) override {
    const H2StreamId id = exchange->id;
    require(streams_.size() < kH2StreamsMax);
    auto made = std::make_unique<Stream>(*this, std::move(exchange));
    Stream* stream = made.get();
    streams_[id] = std::move(made);
    return stream;
  }
  void on_refused(std::uint16_t, std::string_view) override {}
  void on_head_started() override {}
  void on_head_ended() override {}
  void write(std::string_view) override {}

  std::map<H2StreamId, std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Stream>> dead_;
  H2ServerSession session_;
  bool broken_ = false;
};

// Has a few requests open; one is a HEAD, one an upgrade where the peer takes those.
class Client final : public H2ClientSessionEvents {
 public:
  Client() : session_(*this, {.limits = {.bytes_max = 4096, .fields_max = 20}}) {
    const std::string_view methods[kRequests] = {"GET", "HEAD", "POST", "CONNECT"};
    for (const std::string_view method : methods) {
      streams_.push_back(std::make_unique<Stream>(*this));
      RequestHead head;
      head.method = method;
      head.authority = "h:1";
      head.path = method == "CONNECT" ? "" : "/";
      require(session_.submit(streams_.back()->call, head, method != "POST" && method != "CONNECT", ""));
    }
    require(session_.produce(kProducedBytesMax));
  }
  void feed(std::string_view bytes) {
    if (!broken_) broken_ = !session_.receive(bytes, Time{} + std::chrono::seconds(1));
  }
  void produce() {
    if (!broken_) broken_ = !session_.produce(kProducedBytesMax);
  }
  Log log;

 private:
  struct Stream final : H2AnswerEvents {
    explicit Stream(Client& owner) : client(owner) { call.events = this; }
    void on_head_sent() override {}
    void on_informational(ResponseHead head) override {
      require(!has_head && head.status >= 100 && head.status < 200 && head.status != 101);
      client.log.of(call.id) += "(" + std::to_string(head.status) + text_of(head.headers) + ")";
    }
    void on_head(ResponseHead head, bool end) override {
      require(!std::exchange(has_head, true) && head.status >= 200 && head.status <= 599);
      client.log.of(call.id) += std::to_string(head.status) + text_of(head.headers) + (end ? "." : "");
      ended = end;
    }
    void on_data(std::string_view bytes) override {
      require(has_head && !ended);
      client.log.of(call.id).append(bytes);
      client.session_.consume(call.id, bytes.size());
    }
    void on_end() override {
      require(has_head && !std::exchange(ended, true));
      client.log.of(call.id) += ".";
    }
    void on_trailers(HeaderMap trailers) override {
      require(has_head && !std::exchange(ended, true));
      client.log.of(call.id) += "!" + text_of(trailers);
    }
    void write_body(std::size_t) override { require(false); }
    void on_end_sent() override {}
    void on_closed(H2ClientClose why, std::string_view) override {
      client.log.of(call.id) += "#" + std::to_string(static_cast<int>(why));
      require(++client.log.closed[call.id] == 1);
    }
    Client& client;
    H2Call call;
    bool has_head = false, ended = false;
  };
  void on_room_changed() override {}
  void on_ping_answered() override {}
  void write(std::string_view) override {}

  std::vector<std::unique_ptr<Stream>> streams_;
  H2ClientSession session_;
  bool broken_ = false;
};

// `answers`: after every piece; else at the end. What we send changes what a stream's next frame means, so only outcomes
// with the same answers are the same.
template <class End>
std::string run(std::string_view start, std::string_view bytes, std::size_t first, std::size_t piece, bool answers) {
  End end;
  end.feed(start);
  end.produce();
  end.feed(bytes.substr(0, first));
  bytes.remove_prefix(first);
  while (!bytes.empty()) {
    if (answers) end.produce();
    end.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  end.produce();
  return end.log.text();
}

// Frames out of the input: two bytes of length (taken modulo what is left), type, flags, stream, payload.
std::string frames_of(std::string_view input) {
  std::string out;
  while (input.size() >= 5) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(input[i])); };
    const std::size_t size = std::min((byte(0) << 8U | byte(1)) % 1024, input.size() - 5);
    const char head[] = {0, static_cast<char>(size >> 8U), static_cast<char>(size & 0xffU), static_cast<char>(byte(2) % 11),
                         input[3], 0, 0, 0, input[4]};
    out.append(head, sizeof head).append(input.substr(5, size));
    input.remove_prefix(5 + size);
  }
  return out;
}

template <class End>
void check(std::string_view start, const std::string& bytes, unsigned char cut) {
  const std::size_t first = bytes.size() * cut / 255;
  const std::string whole = run<End>(start, bytes, bytes.size(), 1, false);
  require(run<End>(start, bytes, first, bytes.size() + 1, false) == whole);
  require(run<End>(start, bytes, first, 7, false) == whole);
  if (bytes.size() < 600) require(run<End>(start, bytes, 0, 1, false) == whole);
  (void)run<End>(start, bytes, first, bytes.size() + 1, true);
  (void)run<End>(start, bytes, first, 23, true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 16384) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string bytes = (data[0] & 2) != 0 ? std::string(input) : frames_of(input);
  constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);
  if ((data[0] & 1) == 0) {
    const std::string start = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(kSettings);
    check<Server>((data[0] & 4) != 0 ? std::string_view() : std::string_view(start), bytes, data[1]);
  } else {
    check<Client>((data[0] & 4) != 0 ? std::string_view() : kSettings, bytes, data[1]);
  }
  return 0;
}
