#include "cli/echo_workload.h"

#include <algorithm>

#include "cli/json_reader.h"
#include "cli/json_text.h"
#include "text/json_writer.h"

namespace lateen::cli {

namespace {

constexpr std::string_view kPassword = "mesh";  // any would do: the user's name is the identity

std::string headers_json(const EchoRequest& request) {
  std::map<std::string, std::string> joined;
  for (const auto& [name, value] : request.headers) {
    std::string& into = joined[name];
    into += (into.empty() ? "" : ", ") + value;
  }
  JsonObject out;
  for (const auto& [name, value] : joined) out.add(name, value);
  return out.text();
}

std::string call_json(const EchoCallResult& call) {
  JsonObject out;
  out.add("url", call.url);
  if (!call.error.empty()) return out.add("error", call.error).text();
  return out.add("status", static_cast<std::int64_t>(call.status)).add_raw("body", call.content).text();
}

EchoCallResult call_result(const std::string& url, const Result<stream::HttpCallResponse>& response) {
  EchoCallResult out;
  out.url = url;
  if (!response) {
    out.error = response.error().message;
    return out;
  }
  out.status = response->status;
  simdjson::dom::parser parser;
  const bool is_short = response->body.size() <= kCallBodyBytesMax;
  const auto object = is_short ? parse_json_object(parser, response->body, "answer") : fail(ErrorCode::kOverLimit, "");
  if (object) {
    out.content = simdjson::minify(*object);
    JsonMembers(*object, "answer").read("version", out.version);
  } else {
    text::append_json_string(out.content, std::string_view(response->body).substr(0, kCallBodyBytesMax));
  }
  return out;
}

std::string_view protocol_text(http::Version version) {
  switch (version) {
    case http::Version::kHttp10: return "HTTP/1.0";
    case http::Version::kHttp11: return "HTTP/1.1";
    case http::Version::kHttp2: return "HTTP/2";
  }
  return "";
}

}  // namespace

std::string echo_answer(const EchoArguments& arguments, const std::string& instance, const EchoRequest& request,
                        const std::vector<EchoCallResult>& calls) {
  JsonObject out;
  out.add("service", arguments.registration.service).add("version", arguments.registration.version).add("instance", instance);
  if (!arguments.message.empty()) out.add("body", arguments.message);
  out.add("method", request.method).add("path", request.path).add_raw("headers", headers_json(request));
  out.add("protocol", protocol_text(request.version));
  out.add("bodyBytes", static_cast<std::int64_t>(request.body_bytes));
  if (!calls.empty()) {
    std::vector<std::string> texts;
    for (const EchoCallResult& call : calls) texts.push_back(call_json(call));
    out.add_raw("calls", json_array(texts));
  }
  return out.text() + "\n";
}

bool is_passed_on(std::string_view name) {
  for (const std::string_view passed : {"end-user", "traceparent", "tracestate", "b3", "baggage", "x-request-id"}) {
    if (name == passed) return true;
  }
  return name.starts_with("x-") && !name.starts_with("x-forwarded-") && !name.starts_with("x-envoy-");
}

std::string basic_authorization(std::string_view user, std::string_view password) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string text = std::string(user) + ":" + std::string(password);
  std::string out = "Basic ";
  for (std::size_t i = 0; i < text.size(); i += 3) {
    const auto byte = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U; };
    const unsigned bits = (byte(0) << 16U) | (byte(1) << 8U) | byte(2);
    out += kAlphabet[(bits >> 18U) & 63U];
    out += kAlphabet[(bits >> 12U) & 63U];
    out += i + 1 < text.size() ? kAlphabet[(bits >> 6U) & 63U] : '=';
    out += i + 2 < text.size() ? kAlphabet[bits & 63U] : '=';
  }
  return out;
}

// One request: calls, then the delay, then the answer. Destroying it gives everything up.
class EchoWorkload::Exchange {
 public:
  Exchange(EchoWorkload& workload, EchoRequest request, std::unique_ptr<stream::HttpReply> reply, bool fails)
      : workload_(workload), arguments_(workload.arguments_), request_(std::move(request)), reply_(std::move(reply)), fails_(fails) {}

  void start() {
    reply_->set_on_gone([this] { workload_.end(this); });
    if (arguments_.hang) return;  // until the client has had enough
    const std::string proxy = workload_.registration_ ? workload_.registration_->answer().http_proxy : "";
    const auto address = net::parse_address(proxy);
    results_.resize(arguments_.calls.size());
    for (std::size_t i = 0; i < arguments_.calls.size(); ++i) {
      results_[i].url = arguments_.calls[i].url;
      if (!address) {
        results_[i].error = "not registered with a mesh yet";
        continue;
      }
      ++open_calls_;
      calls_.push_back(call(i, *address));
    }
    if (open_calls_ == 0) wait_and_answer();
  }

 private:
  std::unique_ptr<stream::HttpCall> call(std::size_t i, const net::Address& proxy) {
    stream::HttpCallRequest request;
    request.path = arguments_.calls[i].url;  // absolute form: the forward proxy's
    request.host = arguments_.calls[i].authority;
    const Registration& self = arguments_.registration;
    request.headers.emplace_back("proxy-authorization", basic_authorization(self.namespace_ + "/" + self.identity, kPassword));
    for (const auto& [name, value] : request_.headers) {
      if (is_passed_on(name)) request.headers.emplace_back(name, value);
    }
    request.timeout = kCallTimeout;
    request.idle_timeout = kCallTimeout;
    return stream::fetch(workload_.loop_, proxy, std::move(request), [this, i](const Result<stream::HttpCallResponse>& response) {
      results_[i] = call_result(arguments_.calls[i].url, response);
      if (--open_calls_ == 0) wait_and_answer();
    });
  }

  void wait_and_answer() {
    // Also without a delay, so that a call never ends the exchange from inside its own callback.
    workload_.loop_.arm<&Exchange::answer>(timer_, arguments_.delay, this);
  }

  void answer() {
    if (arguments_.reset) reply_->reset();
    const std::string instance = workload_.registration_ && !workload_.registration_->answer().name.empty()
                                     ? workload_.registration_->answer().name
                                     : arguments_.registration.identity;
    const std::string body = arguments_.plain.value_or("");
    reply_->set_on_gone(nullptr);
    reply_->respond(fails_ ? arguments_.fail_status : arguments_.status, arguments_.plain ? "text/plain" : "application/json",
                    arguments_.plain ? body : echo_answer(arguments_, instance, request_, results_), arguments_.headers);
    workload_.end(this);
  }

  EchoWorkload& workload_;
  const EchoArguments& arguments_;
  const EchoRequest request_;
  std::unique_ptr<stream::HttpReply> reply_;
  const bool fails_;
  std::vector<EchoCallResult> results_;
  std::vector<std::unique_ptr<stream::HttpCall>> calls_;
  std::size_t open_calls_ = 0;
  net::Timer timer_;
};

EchoWorkload::EchoWorkload(net::Loop& loop, const EchoArguments& arguments, const std::unique_ptr<EchoRegistration>& registration)
    : loop_(loop), arguments_(arguments), registration_(registration) {}

EchoWorkload::~EchoWorkload() = default;

void EchoWorkload::on_request(const stream::HttpServerRequest& request, std::unique_ptr<stream::HttpReply> reply) {
  EchoRequest kept{std::string(request.method), std::string(request.path), {}, request.body.size(), request.head->version};
  if (!request.query.empty()) kept.path.append("?").append(request.query);
  kept.headers.emplace_back("host", request.authority);
  for (const http::Header& header : request.head->headers.fields()) kept.headers.emplace_back(header.name, header.value);
  const bool fails = requests_++ < arguments_.fail_first;
  auto exchange = std::make_unique<Exchange>(*this, std::move(kept), std::move(reply), fails);
  Exchange* running = exchange.get();
  exchanges_.emplace(running, std::move(exchange));
  running->start();
}

void EchoWorkload::end(Exchange* exchange) {
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end()) return;
  // It is still on the stack.
  auto ending = std::make_shared<const std::unique_ptr<Exchange>>(std::move(found->second));
  exchanges_.erase(found);
  loop_.defer([ending] {});
}

}  // namespace lateen::cli
