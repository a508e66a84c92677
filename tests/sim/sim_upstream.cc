#include "sim_upstream.h"

namespace lateen::sim {
namespace {

std::string head_of(const char* status, std::size_t length) {
  return std::string("HTTP/1.1 ") + status + "\r\ncontent-length: " + std::to_string(length) + "\r\n\r\n";
}

std::string chunked(const std::string& body, std::uint64_t seed) {
  std::string out = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  char size[24];
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t count = std::min<std::size_t>(body.size() - at, 1 + seed % 700);
    std::snprintf(size, sizeof size, "%zx\r\n", count);
    out += size + body.substr(at, count) + "\r\n";
    at += count;
    seed = seed * 6364136223846793005ULL + 1;
  }
  return out + "0\r\n\r\n";
}

}  // namespace

std::string body_for(const std::string& id) {
  std::string body = "id=" + id + ";";
  std::size_t size = 40;
  for (const char c : id) size = size * 31 % 9000 + static_cast<unsigned char>(c);
  while (body.size() < size) body += id + ".";
  return body;
}

SimUpstream::SimUpstream(testing::VirtualLoop& loop, std::vector<Behaviour> behaviours)
    : loop_(loop), listener_(loop), behaviours_(std::move(behaviours)) {
  listener_.on_peer = [this](testing::Peer& peer) {
    index_of_[&peer] = listener_.size() - 1;
    peer.on_change = [this](testing::Peer& changed) { on_bytes(changed); };
  };
}

void SimUpstream::on_bytes(testing::Peer& peer) {
  Session& session = sessions_[&peer];
  session.in += peer.take();
  while (!session.closed && !peer.gone() && take_request(peer, session)) {
  }
}

bool SimUpstream::take_request(testing::Peer& peer, Session& session) {
  const std::size_t end = session.in.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::size_t begin = session.in.find(" /r/") + 4;
  const std::string id = session.in.substr(begin, session.in.find(' ', begin) - begin);
  std::size_t size = end + 4;
  const std::size_t length = session.in.find("content-length: ");
  if (length < end) size += std::stoul(session.in.substr(length + 16));
  const Behaviour behaviour = behaviours_[loop_.network().random() % behaviours_.size()];
  if (session.in.size() < size) {
    if (behaviour == Behaviour::kEarlyAnswer && !session.answered_early) {
      session.answered_early = true;
      answered_early_.insert(id);
      answer(peer, session, Behaviour::kAnswer, id);
    }
    return false;
  }
  const std::size_t sent = session.in.find("x-bytes: ");
  if (sent < end && std::stoul(session.in.substr(sent + 9)) != size - end - 4) complaints_.push_back("a body of another size for " + id);
  session.in.erase(0, size);
  ++executed_[id];
  if (std::exchange(session.answered_early, false)) return true;
  answer(peer, session, behaviour, id);
  return true;
}

void SimUpstream::answer(testing::Peer& peer, Session& session, Behaviour behaviour, const std::string& id) {
  const std::string body = body_for(id);
  const std::string whole = head_of("200 OK", body.size()) + body;
  const std::string half = head_of("200 OK", body.size()) + body.substr(0, body.size() / 2);
  switch (behaviour) {
    case Behaviour::kAnswer:
    case Behaviour::kEarlyAnswer: return peer.write(whole);
    case Behaviour::kAnswerChunked: return peer.write(chunked(body, loop_.network().random()));
    case Behaviour::kAnswerSlowly: return answer_in_pieces(index_of_.at(&peer), whole);
    case Behaviour::kInformational: return peer.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + whole);
    case Behaviour::kUnavailable: return peer.write(head_of("503 Service Unavailable", 4) + "busy");
    case Behaviour::kError: return peer.write(head_of("500 Internal Server Error", 5) + "wrong");
    case Behaviour::kHang: return;
    case Behaviour::kAnswerUntilClose:
      peer.write("HTTP/1.1 200 OK\r\n\r\n" + body);
      break;
    case Behaviour::kAnswerAndClose: peer.write(whole); break;
    case Behaviour::kCloseBefore: break;
    case Behaviour::kCloseMiddle: peer.write(half); break;
    case Behaviour::kGarbage: peer.write("\x01\x02 nonsense \r\n\r\n"); break;
    case Behaviour::kResetMiddle: peer.write(half); [[fallthrough]];
    case Behaviour::kResetBefore:
      session.closed = true;
      return peer.reset();
    case Behaviour::kCount: return;
  }
  session.closed = true;
  peer.shutdown_write();
}

void SimUpstream::answer_in_pieces(std::size_t index, std::string text) {
  testing::Peer& peer = listener_.at(index);
  if (peer.gone()) return;
  const std::size_t count = std::min<std::size_t>(text.size(), 1 + loop_.network().random() % 2000);
  peer.write(text.substr(0, count));
  if (count == text.size()) return;
  loop_.network().after(std::chrono::milliseconds(loop_.network().random() % 300),
                        [this, index, rest = text.substr(count)] { answer_in_pieces(index, rest); });
}

}  // namespace lateen::sim
