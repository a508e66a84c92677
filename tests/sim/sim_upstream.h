// An upstream of the simulator: answers each request in a way that chance chooses, and remembers what it did.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::sim {

// What may happen to a request at an upstream.
enum class Behaviour {
  kAnswer,             // 200 with the body that belongs to the id
  kAnswerChunked,
  kAnswerSlowly,       // in pieces, with pauses
  kAnswerUntilClose,   // without a length
  kEarlyAnswer,        // before the request's body is read
  kInformational,      // 103, then the answer
  kUnavailable,        // 503
  kError,              // 500
  kHang,               // for ever
  kResetBefore,        // before a byte of the answer
  kCloseBefore,
  kResetMiddle,        // in the middle of the body
  kCloseMiddle,
  kGarbage,
  kAnswerAndClose,     // complete, then the connection is closed at once
  kCount,
};

// The body that answers `id`: so a wrong, mixed or cut body can not look right.
std::string body_for(const std::string& id);

class SimUpstream {
 public:
  // `behaviours`: what it chooses from; must not be empty.
  SimUpstream(testing::VirtualLoop& loop, std::vector<Behaviour> behaviours);

  net::Address address() const { return listener_.address(); }
  // How often a request with that id was read whole.
  const std::map<std::string, int>& executed() const { return executed_; }
  // Ids that were answered before they were read whole.
  const std::set<std::string>& answered_early() const { return answered_early_; }
  // Requests whose body was not what the client sent.
  const std::vector<std::string>& complaints() const { return complaints_; }
  void set_behaviours(std::vector<Behaviour> behaviours) { behaviours_ = std::move(behaviours); }

 private:
  struct Session {
    std::string in;
    bool answered_early = false;
    bool closed = false;
  };

  void on_bytes(testing::Peer& peer);
  bool take_request(testing::Peer& peer, Session& session);
  void answer(testing::Peer& peer, Session& session, Behaviour behaviour, const std::string& id);
  void answer_in_pieces(std::size_t index, std::string text);

  testing::VirtualLoop& loop_;
  testing::PeerListener listener_;
  std::vector<Behaviour> behaviours_;
  std::map<testing::Peer*, Session> sessions_;
  std::map<testing::Peer*, std::size_t> index_of_;
  std::map<std::string, int> executed_;
  std::set<std::string> answered_early_;
  std::vector<std::string> complaints_;
};

}  // namespace lateen::sim
