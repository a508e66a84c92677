// A server whose requests a test answers by hand, for server connections of both protocols.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stream/h1_server_connection.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {

// One request as a handler that a test scripts: it writes down every call, and acts when told to.
class Exchange final : public ServerStreamHandler {
 public:
  Exchange(ServerStream& in, End end) : stream(&in) {
    const http::RequestHead& head = in.request();
    log = std::string(head.method) + " ";
    if (head.version == http::Version::kHttp2) log += head.authority;   // a field of its own there
    log += std::string(head.path) + (end == End::kYes ? "." : "");
    for (const http::Header& h : head.headers.fields()) fields += std::string(h.name) + "=" + std::string(h.value) + ";";
  }
  void on_data(Buffer data, End end) override {
    body += data.to_string();
    held += data.size();
    held_max = std::max(held_max, held);
    if (end == End::kYes) log += " end";
    if (on_body) on_body(*this, end);
  }
  void on_trailers(http::HeaderMap trailers) override {
    log += " trailers";
    for (const http::Header& h : trailers.fields()) log += ":" + std::string(h.name) + "=" + std::string(h.value);
    if (on_body) on_body(*this, End::kYes);
  }
  void on_reset(ResetReason reason) override {
    log += " reset" + std::to_string(static_cast<int>(reason));
    stream = nullptr;
  }
  void on_sent(std::size_t bytes) override { sent += bytes; }
  void on_complete() override {
    log += " complete";
    stream = nullptr;
  }

  void start(std::uint16_t status, const std::vector<std::pair<std::string, std::string>>& extra = {}, End end = End::kNo) {
    http::ResponseHead head;
    head.status = status;
    for (const auto& [name, value] : extra) head.headers.add(name, value);
    stream->send_headers(head, end);
  }
  void send(std::string_view text, End end) {
    Buffer data;
    data.append_copy(text);
    stream->send_data(std::move(data), end);
  }
  void respond(std::uint16_t status, std::string_view text) {
    start(status, {{"content-length", std::to_string(text.size())}}, text.empty() ? End::kYes : End::kNo);
    if (!text.empty()) send(text, End::kYes);
  }
  void take() { stream->consumed(std::exchange(held, 0)); }

  ServerStream* stream;
  std::string log, fields, body;
  std::size_t held = 0, held_max = 0, sent = 0;
  std::function<void(Exchange&, End)> on_body;
};

inline void answer_at_end(Exchange& exchange, End end) {
  exchange.on_body = [](Exchange& e, End last) {
    e.take();
    if (last == End::kYes) e.respond(200, "<" + e.body + ">");
  };
  if (end == End::kYes) exchange.respond(200, "<>");
}

// A server of one connection after another, whose exchanges the test drives.
class Server final : public ServerStreamAcceptor, private net::ListenSocketEvents {
 public:
  using Make = std::unique_ptr<ServerConnection> (*)(net::Loop&, std::unique_ptr<net::Socket>, ServerStreamAcceptor&,
                                                     const H1ServerOptions&);

  Server(testing::VirtualLoop& loop, const H1ServerOptions& options, Make make) : loop_(loop), options_(options), make_(make) {
    listener_ = *loop.listen({net::Address::Family::kIpv4, "127.0.0.1", 0}, {}, *this);
  }
  net::Address address() const { return listener_->local_address(); }
  ServerStreamHandler* on_request(ServerStream& stream, End end) override {
    exchanges.push_back(std::make_unique<Exchange>(stream, end));
    if (on_exchange) on_exchange(*exchanges.back(), end);
    return exchanges.back().get();
  }
  void on_refused(std::uint16_t status, std::string_view detail) override {
    refused.push_back(status);
    details.emplace_back(detail);
  }
  void on_connection_closed() override {
    ++closed;
    loop_.defer([this] { connection.reset(); });
  }

  std::vector<std::unique_ptr<Exchange>> exchanges;
  std::function<void(Exchange&, End)> on_exchange;
  std::vector<std::uint16_t> refused;      // statuses
  std::vector<std::string> details;        // and why
  int closed = 0;
  std::unique_ptr<ServerConnection> connection;

 private:
  void on_accept(std::unique_ptr<net::Socket> socket) override { connection = make_(loop_, std::move(socket), *this, options_); }

  testing::VirtualLoop& loop_;
  const H1ServerOptions options_;
  const Make make_;
  std::unique_ptr<net::ListenSocket> listener_;
};

}  // namespace lateen::stream
