// Requests to the admin port and answers to them, as values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen::admin {

// A manifest of this size is some 50,000 rules. What is longer is answered 413.
inline constexpr std::size_t kBodyBytesMax = 16 * 1024 * 1024;
inline constexpr std::size_t kExchangesMax = 1'024;

struct Request {
  std::string method;
  std::string path;                                    // without the query, percent-decoded
  std::multimap<std::string, std::string, std::less<>> query;
  std::string host;                                    // the Host field
  std::string origin;                                  // the Origin field; browsers send it with every change
  std::string body;

  std::optional<std::string> parameter(std::string_view name) const;
  std::string parameter(std::string_view name, std::string_view otherwise) const;
  std::vector<std::string> parameters(std::string_view name) const;
  bool has(std::string_view name) const { return query.find(name) != query.end(); }
  // "?name", "?name=true", "?name=1"; not "=false" nor "=0".
  bool flag(std::string_view name) const;
};

// Splits and decodes "/path?a=b&c". Errors: kProtocol for a bad percent sequence.
Result<void> parse_target(std::string_view target, Request& request);

struct Response {
  std::uint16_t status = 200;
  std::string content_type = "text/plain; charset=UTF-8";
  std::string body;
};
Response text_response(std::string body, std::uint16_t status = 200);
Response json_response(std::string body, std::uint16_t status = 200);
// {"error": "..."}.
Response error_response(std::uint16_t status, std::string_view message);
// With the status that suits the error's code.
Response error_response(const Error& error);

// The way back to whoever asked; may be kept and used later, once. Harmless when the client has gone.
class Reply {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void reply(std::uint64_t exchange, Response response) = 0;
    virtual void hold_open(std::uint64_t exchange, Response first, std::function<void()> on_closed) = 0;
  };
  Reply(Sink& sink, std::uint64_t exchange) : sink_(&sink), exchange_(exchange) {}

  void operator()(Response response) const { sink_->reply(exchange_, std::move(response)); }
  // Sends the head and `first.body` as the first bytes of a body that stays open until the client goes away or the
  // server ends; `on_closed` is called then, once.
  void hold_open(Response first, std::function<void()> on_closed) const {
    sink_->hold_open(exchange_, std::move(first), std::move(on_closed));
  }

 private:
  Sink* sink_;
  std::uint64_t exchange_;
};

using Handler = std::function<void(const Request&, Reply)>;

}  // namespace lateen::admin
