// For tests and the fuzz target: reads a whole stream of messages, in pieces of any size, and writes down what the parser
// and the body decoder said. Two walks over the same bytes must write the same, however they were cut.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "http/chunked.h"
#include "http/h1_parser.h"

namespace lateen::http {

class Walk {
 public:
  enum class Side { kRequests, kResponses };

  explicit Walk(Side side, std::string method = "GET", HeadLimits limits = {})
      : side_(side), method_(std::move(method)), request_(limits), response_(limits) {
    response_.reset(method_);
  }

  void feed(std::string_view bytes) {
    // A new block of exactly the right size each time: the region moves, and a read past its end is seen by ASan.
    std::unique_ptr<char[]> larger(new char[size_ + bytes.size()]);
    if (size_ > 0) std::memcpy(larger.get(), region_.get(), size_);
    if (!bytes.empty()) std::memcpy(larger.get() + size_, bytes.data(), bytes.size());
    region_ = std::move(larger);
    size_ += bytes.size();
    while (go_on()) {
    }
  }

  const std::string& text() const { return text_; }
  bool refused() const { return refused_; }
  const Refusal& refusal() const { return refusal_; }
  // Read to their end; one that ends with the connection is not counted.
  std::size_t messages() const { return messages_; }
  const std::string& body() const { return body_; }

 private:
  enum class In { kHead, kLength, kChunks, kRest };

  bool go_on() {
    if (refused_) return false;
    switch (in_) {
      case In::kHead: return side_ == Side::kRequests ? head(request_) : head(response_);
      case In::kLength: return body_bytes(std::min<std::uint64_t>(left_, size_));
      case In::kChunks: return chunks();
      case In::kRest: return body_bytes(size_);
    }
    return false;
  }

  template <class Parser>
  bool head(Parser& parser) {
    switch (parser.parse(region_.get(), size_)) {
      case ParseState::kNeedMore: return false;
      case ParseState::kRefused: return refuse(parser.refusal());
      case ParseState::kComplete: break;
    }
    describe(parser.head());
    const Framing framing = parser.framing();
    text_ += " body " + std::to_string(static_cast<int>(framing.body)) + " length " + std::to_string(framing.length) +
             (framing.keep_alive ? " keep" : " close") + " upgrade [" + std::string(framing.upgrade) + "]\n";
    keep_ = framing.keep_alive;
    const bool informational = side_ == Side::kResponses && response_.head().status < 200;
    drop(parser.head_bytes());
    reset(parser);
    const bool ends_here = framing.body == BodyKind::kNone || framing.body == BodyKind::kTunnel;
    if (!informational && ends_here) ++messages_;
    switch (framing.body) {
      case BodyKind::kNone: in_ = keep_ || informational ? In::kHead : In::kRest; break;
      case BodyKind::kLength: in_ = In::kLength; left_ = framing.length; break;
      case BodyKind::kChunked: in_ = In::kChunks; break;
      case BodyKind::kUntilClose:
      case BodyKind::kTunnel: in_ = In::kRest; break;
    }
    return true;
  }

  void reset(RequestParser& parser) { parser.reset(); }
  void reset(ResponseParser& parser) { parser.reset(method_); }

  void describe(const RequestHead& head) {
    text_ += std::string(head.method) + " | " + std::string(head.scheme) + " | " + std::string(head.authority) + " | " +
             std::string(head.path) + " | " + std::to_string(static_cast<int>(head.version)) +
             (head.absolute_form ? " absolute" : "") + (head.is_upgrade ? " upgrade" : "") +
             (head.expects_continue ? " expects" : "");
    describe(head.headers);
  }
  void describe(const ResponseHead& head) {
    text_ += std::to_string(head.status) + " | " + std::to_string(static_cast<int>(head.version));
    describe(head.headers);
  }
  void describe(const HeaderMap& headers) {
    for (const Header& h : headers.fields()) text_ += " {" + std::string(h.name) + ": " + std::string(h.value) + "}";
  }

  bool body_bytes(std::uint64_t bytes) {
    const auto count = static_cast<std::size_t>(bytes);
    body_.append(region_.get(), count);
    drop(count);
    if (in_ != In::kLength) return false;
    left_ -= bytes;
    if (left_ > 0) return false;
    end_body();
    return true;
  }

  bool chunks() {
    if (size_ == 0) return false;
    const ChunkedDecoder::Step step = decoder_.next({region_.get(), size_});
    body_ += step.data;
    drop(step.used);
    switch (step.event) {
      case ChunkedDecoder::Event::kNeedMore: return false;
      case ChunkedDecoder::Event::kData: return true;
      case ChunkedDecoder::Event::kRefused: return refuse(decoder_.refusal());
      case ChunkedDecoder::Event::kDone: break;
    }
    text_ += "trailers";
    describe(decoder_.trailers());
    decoder_.reset();
    end_body();
    return true;
  }

  void end_body() {
    text_ += "body of " + std::to_string(body_.size()) + "\n";
    ++messages_;
    in_ = keep_ ? In::kHead : In::kRest;
  }

  bool refuse(const Refusal& refusal) {
    refused_ = true;
    refusal_ = refusal;
    text_ += "refused " + std::to_string(refusal.status) + " " + std::string(refusal.detail) + "\n";
    return false;
  }

  void drop(std::size_t bytes) {
    std::unique_ptr<char[]> rest(new char[size_ - bytes]);
    if (size_ > bytes) std::memcpy(rest.get(), region_.get() + bytes, size_ - bytes);
    region_ = std::move(rest);
    size_ -= bytes;
  }

  Side side_;
  std::string method_;
  RequestParser request_;
  ResponseParser response_;
  ChunkedDecoder decoder_;
  In in_ = In::kHead;
  std::uint64_t left_ = 0;
  std::unique_ptr<char[]> region_;
  std::size_t size_ = 0;
  std::string text_, body_;
  bool keep_ = true;
  bool refused_ = false;
  Refusal refusal_;
  std::size_t messages_ = 0;
};


}  // namespace lateen::http
