// A client of the simulator: sends requests one after the other and judges each answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::sim {

enum class Outcome {
  kOk,        // 200 with exactly the body that belongs to the id
  kRefused,   // another status, complete
  kBroken,    // no answer, or one that is visibly cut
  kWrong,     // an answer that looks complete and is not right: must never happen
  kLeft,      // the client itself went away
};

struct SentRequest {
  std::string id;
  bool post = false;
  Time sent{};
  std::optional<Outcome> outcome;
  int status = 0;
  Duration took{};
};

class SimClient {
 public:
  // `count` requests with ids "<name>-<n>", each in a new connection where the one before was closed.
  SimClient(testing::VirtualLoop& loop, net::Address at, std::string name, int count);

  bool done() const { return done_; }
  const std::vector<SentRequest>& requests() const { return requests_; }
  const std::string& unread() const { return in_; }
  std::vector<std::string> complaints() const { return complaints_; }

 private:
  void next();
  void on_change();
  void judge();
  void finish(Outcome outcome, int status);
  // How many bytes the answer at the beginning of `in_` has; nothing while it is not complete.
  std::optional<std::size_t> answer_bytes(std::string& body, int& status) const;

  testing::VirtualLoop& loop_;
  const net::Address at_;
  const std::string name_;
  int left_;
  std::unique_ptr<testing::Peer> peer_;
  std::vector<std::unique_ptr<testing::Peer>> old_peers_;
  std::string in_;
  std::vector<SentRequest> requests_;
  std::vector<std::string> complaints_;
  bool waiting_ = false;
  bool done_ = false;
};

}  // namespace lateen::sim
