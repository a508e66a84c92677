// The workload of `lateen echo`: what it answers, and the calls that it makes for an answer.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "cli/echo_arguments.h"
#include "cli/echo_registration.h"
#include "stream/http_server.h"

namespace lateen::cli {

// What one --call has brought.
struct EchoCallResult {
  std::string url;
  int status = 0;              // 0: no answer
  std::string version;         // of the workload that answered, if it said so
  std::string content;         // the body: JSON as it came, other text as a JSON string; cut at kCallBodyBytesMax
  std::string error;
};
inline constexpr std::size_t kCallBodyBytesMax = 64 * 1024;

// What of a request goes into its answer; kept while calls are made.
struct EchoRequest {
  std::string method, path;
  std::vector<std::pair<std::string, std::string>> headers;  // in order, names in lower case
  std::size_t body_bytes = 0;
  http::Version version = http::Version::kHttp11;
};

std::string echo_answer(const EchoArguments& arguments, const std::string& instance, const EchoRequest& request,
                        const std::vector<EchoCallResult>& calls);
// Headers that travel from a request to the calls made for it: of tracing, of the user, and x-... that is not of a proxy.
bool is_passed_on(std::string_view name);
// "Basic ..." of RFC 7617.
std::string basic_authorization(std::string_view user, std::string_view password);

class EchoWorkload {
 public:
  // `registration` may be null (then calls fail: it knows the way into the mesh). All must outlive the workload.
  EchoWorkload(net::Loop& loop, const EchoArguments& arguments, const std::unique_ptr<EchoRegistration>& registration);
  ~EchoWorkload();

  void on_request(const stream::HttpServerRequest& request, std::unique_ptr<stream::HttpReply> reply);

  static constexpr Duration kCallTimeout = std::chrono::seconds(30);

 private:
  class Exchange;
  void end(Exchange* exchange);

  net::Loop& loop_;
  const EchoArguments& arguments_;
  const std::unique_ptr<EchoRegistration>& registration_;
  std::uint64_t requests_ = 0;
  std::map<Exchange*, std::unique_ptr<Exchange>> exchanges_;  // bounded by the server's connections
};

}  // namespace lateen::cli
