// HttpServer: a small HTTP server for the admin port and for workloads: one function gets each request with its whole
// body, and answers at once, later, or piece by piece.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/message.h"
#include "net/loop.h"
#include "stream/h1_server_connection.h"

namespace lateen::stream {

// One request; valid as long as its HttpReply has not ended.
struct HttpServerRequest {
  const http::RequestHead* head = nullptr;
  std::string_view method;
  std::string_view path;        // without the query
  std::string_view query;       // behind the first "?", or empty
  std::string_view authority;
  std::string_view body;
  const net::Address* remote = nullptr;
  const net::Address* local = nullptr;

  // The first header of that name, or "".
  std::string_view header(std::string_view name) const;
};

using HttpHeaderList = std::vector<std::pair<std::string, std::string>>;

// How the handler answers: respond() once, or start(), write()... and finish(). Destroying it unanswered sends 500;
// destroying it after start() without finish() cuts the response. All calls are harmless once the client has gone.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void respond(std::uint16_t status, std::string_view content_type, std::string_view body,
                       const HttpHeaderList& headers = {}) = 0;
  virtual void start(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers = {}) = 0;
  virtual void write(std::string_view piece) = 0;
  virtual void finish() = 0;
  // Bytes given to write() that the client's socket has not taken. A streaming handler stops above its own bound and
  // goes on in on_writable.
  virtual std::size_t unsent() const = 0;
  // Called when unsent() has become 0; may be null.
  virtual void set_on_writable(std::function<void()> on_writable) = 0;
  // Called once when the client goes away before the end; may be null.
  virtual void set_on_gone(std::function<void()> on_gone) = 0;
  virtual bool gone() const = 0;
  // Cuts the connection (with HTTP/2 the stream), before or in the middle of the answer (for `lateen echo --reset`).
  virtual void reset() = 0;
};

using HttpHandler = std::function<void(const HttpServerRequest& request, std::unique_ptr<HttpReply> reply)>;

struct HttpServerOptions {
  std::size_t body_bytes_max = 16 * 1024 * 1024;   // larger: 413
  std::size_t connections_max = 1024;              // more wait in the kernel's queue
  std::string server_name;                         // Server field; empty: none
  bool http2 = false;                              // also HTTP/2 with prior knowledge (h2c), on the same port
  net::ListenOptions listen = {};
  H1ServerOptions connection = {};
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  virtual net::Address local_address() const = 0;
  // Stops accepting; idle connections close, busy ones after their answer. `done` (may be null) is called when all have
  // gone.
  virtual void drain(std::function<void()> done) = 0;
};

// Listens and serves on `loop`, which must outlive the server. Port 0 takes a free one. Errors: those of Loop::listen.
// Replies that are held when the server is destroyed become harmless.
Result<std::unique_ptr<HttpServer>> listen_http(net::Loop& loop, const net::Address& at, HttpServerOptions options,
                                                HttpHandler handler);

}  // namespace lateen::stream
