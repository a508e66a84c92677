// HttpCall: one HTTP request on a connection of its own, for the command line, registration and tests. Not the traffic
// path.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/loop.h"

namespace lateen::stream {

struct HttpCallRequest {
  std::string method = "GET";
  std::string path = "/";
  std::string host;                                            // empty: the address
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;                                            // with content-length, also when empty for POST and PUT
  Duration timeout = std::chrono::seconds(30);                 // for connecting and the head; zero: none
  Duration idle_timeout = std::chrono::seconds(30);            // between pieces of the body; zero: none (watches)
};

struct HttpCallResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;   // names in lower case
  std::string body;

  // The first header of that name, or "".
  std::string_view header(std::string_view name) const;
};

// What a streaming caller is told. on_done is the last call and comes exactly once, unless the call is destroyed before;
// inside it the call may be destroyed.
struct HttpCallEvents {
  std::function<void(const HttpCallResponse& head)> on_head;   // body empty; may be null
  std::function<void(std::string_view piece)> on_body;         // may be null
  // Errors: kNotFound (nobody listens), kTimeout, kPeerClosed, kProtocol, kOverLimit.
  std::function<void(Result<void>)> on_done;
};

// A call that is going on; destroying it gives it up.
class HttpCall {
 public:
  virtual ~HttpCall() = default;
};

// `loop` must outlive the call. `to` may be a unix socket.
std::unique_ptr<HttpCall> start_http_call(net::Loop& loop, const net::Address& to, HttpCallRequest request,
                                          HttpCallEvents events);

inline constexpr std::size_t kFetchBytesMax = 256 * 1024 * 1024;

// The same with the whole body in memory (at most kFetchBytesMax, else kOverLimit). `done` comes exactly once.
std::unique_ptr<HttpCall> fetch(net::Loop& loop, const net::Address& to, HttpCallRequest request,
                                std::function<void(Result<HttpCallResponse>)> done);

// For programs without a loop of their own: runs one until the answer is there.
Result<HttpCallResponse> fetch_and_wait(const net::Address& to, HttpCallRequest request);

}  // namespace lateen::stream
