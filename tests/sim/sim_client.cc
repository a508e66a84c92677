#include "sim_client.h"

#include "sim_upstream.h"

namespace lateen::sim {

SimClient::SimClient(testing::VirtualLoop& loop, net::Address at, std::string name, int count)
    : loop_(loop), at_(std::move(at)), name_(std::move(name)), left_(count) {
  loop_.network().after(std::chrono::milliseconds(loop_.network().random() % 200), [this] { next(); });
}

void SimClient::next() {
  if (left_-- == 0) {
    done_ = true;
    if (peer_ != nullptr) peer_->close();
    return;
  }
  testing::VirtualNetwork& network = loop_.network();
  if (peer_ == nullptr || peer_->gone()) {
    if (peer_ != nullptr) old_peers_.push_back(std::move(peer_));
    peer_ = std::make_unique<testing::Peer>(loop_, at_);
    peer_->on_change = [this](testing::Peer&) { on_change(); };
    in_.clear();
  }
  SentRequest request;
  request.id = name_ + "-" + std::to_string(requests_.size());
  const char* const methods[] = {"GET", "POST", "PUT"};
  const std::string method = methods[network.random() % 3];
  request.post = method == "POST";
  request.sent = network.now();
  requests_.push_back(request);
  waiting_ = true;
  std::string text = method + " /r/" + request.id + " HTTP/1.1\r\nhost: sim\r\n";
  if (method != "GET") {
    // Sometimes beyond what is kept for a retry.
    const std::size_t bytes = network.random() % 20 == 0 ? 1'300'000 : network.random() % 40'000;
    text += "x-bytes: " + std::to_string(bytes) + "\r\ncontent-length: " + std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'p');
  } else {
    text += "\r\n";
  }
  peer_->write(text);
  if (network.random() % 10 != 0) return;
  // An impatient client.
  const std::size_t number = requests_.size();
  network.after(std::chrono::milliseconds(network.random() % 3000), [this, number] {
    if (!waiting_ || requests_.size() != number) return;
    peer_->reset();
    old_peers_.push_back(std::move(peer_));
    finish(Outcome::kLeft, 0);
  });
}

std::optional<std::size_t> SimClient::answer_bytes(std::string& body, int& status) const {
  std::size_t at = 0;
  std::size_t end = in_.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  status = std::stoi(in_.substr(9, 3));
  while (status < 200) {
    at = end + 4;
    end = in_.find("\r\n\r\n", at);
    if (end == std::string::npos) return std::nullopt;
    status = std::stoi(in_.substr(at + 9, 3));
  }
  const std::string head = in_.substr(at, end + 4 - at);
  if (const std::size_t length = head.find("content-length: "); length != std::string::npos) {
    const std::size_t bytes = std::stoul(head.substr(length + 16));
    if (in_.size() < end + 4 + bytes) return std::nullopt;
    body = in_.substr(end + 4, bytes);
    return end + 4 + bytes;
  }
  if (head.find("transfer-encoding: chunked") == std::string::npos) return std::nullopt;
  std::size_t position = end + 4;
  while (true) {
    const std::size_t line = in_.find("\r\n", position);
    if (line == std::string::npos) return std::nullopt;
    const std::size_t bytes = std::stoul(in_.substr(position, line - position), nullptr, 16);
    if (in_.size() < line + 2 + bytes + 2) return std::nullopt;
    body += in_.substr(line + 2, bytes);
    position = line + 2 + bytes + 2;
    if (bytes == 0) return position;
  }
}

void SimClient::on_change() {
  in_ += peer_->take();
  if (waiting_) judge();
  if (waiting_ && peer_->gone()) finish(Outcome::kBroken, 0);
}

void SimClient::judge() {
  std::string body;
  int status = 0;
  const std::optional<std::size_t> bytes = answer_bytes(body, status);
  if (!bytes) return;
  in_.erase(0, *bytes);
  const std::string& id = requests_.back().id;
  if (status != 200) return finish(Outcome::kRefused, status);
  if (body == body_for(id)) return finish(Outcome::kOk, status);
  complaints_.push_back("wrong body for " + id + ": " + body.substr(0, 60));
  finish(Outcome::kWrong, status);
}

void SimClient::finish(Outcome outcome, int status) {
  waiting_ = false;
  SentRequest& request = requests_.back();
  if (request.outcome) complaints_.push_back("two outcomes for " + request.id);
  request.outcome = outcome;
  request.status = status;
  request.took = loop_.network().now() - request.sent;
  loop_.network().after(std::chrono::milliseconds(loop_.network().random() % 50), [this] {
    if (!in_.empty() && peer_ != nullptr && !peer_->gone()) {
      complaints_.push_back("bytes behind an answer: " + in_.substr(0, 60));
    }
    next();
  });
}

}  // namespace lateen::sim
