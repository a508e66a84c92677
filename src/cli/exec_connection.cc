#include "cli/exec_connection.h"

#include <cstring>

namespace lateen::cli {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kUnclaimedDescriptorsMax = 2 * kExecDescriptorsMax;

}  // namespace

Result<void> ExecConnection::queue(const ExecMessage& message, std::vector<net::Descriptor> descriptors) {
  LATEEN_TRY(std::string frame, encode_exec_frame(message));
  queued_bytes_ += frame.size();
  out_.push_back({std::move(frame), 0, std::move(descriptors)});
  return {};
}

Result<void> ExecConnection::flush() {
  while (!out_.empty()) {
    Outgoing& first = out_.front();
    std::vector<int> descriptors;
    if (first.written == 0) {
      for (const net::Descriptor& descriptor : first.descriptors) descriptors.push_back(descriptor.get());
    }
    const net::IoResult result =
        net::write_with_descriptors(socket_.get(), std::string_view(first.bytes).substr(first.written), descriptors);
    if (result.status == net::IoStatus::kWouldBlock) return {};
    if (result.status != net::IoStatus::kOk) return fail(ErrorCode::kPeerClosed, std::strerror(result.error));
    first.written += result.bytes;
    queued_bytes_ -= result.bytes;
    first.descriptors.clear();  // they went with the first byte
    if (first.written == first.bytes.size()) out_.pop_front();
  }
  return {};
}

Result<std::vector<ExecConnection::Incoming>> ExecConnection::receive() {
  std::vector<Incoming> messages;
  std::vector<char> chunk(kReadBytes);
  for (;;) {
    const net::IoResult result = net::read_with_descriptors(socket_.get(), chunk, received_);
    if (result.status == net::IoStatus::kWouldBlock) return messages;
    if (result.status == net::IoStatus::kError) return fail(ErrorCode::kPeerClosed, std::strerror(result.error));
    if (received_.size() > kUnclaimedDescriptorsMax) return fail(ErrorCode::kOverLimit, "more descriptors than announced");
    if (result.status == net::IoStatus::kEnd) {
      // What came before the end is still to be said: an ExecError is followed by the end at once.
      if (!messages.empty()) return messages;
      return fail(ErrorCode::kPeerClosed, "the other side has ended the session");
    }
    in_.append(chunk.data(), result.bytes);
    LATEEN_TRY_VOID(take_messages(messages));
  }
}

Result<void> ExecConnection::take_messages(std::vector<Incoming>& into) {
  std::size_t used = 0;
  while (in_.size() - used >= kExecFrameHeaderBytes) {
    LATEEN_TRY(const std::size_t length, decode_exec_frame_length(std::string_view(in_).substr(used)));
    if (in_.size() - used - kExecFrameHeaderBytes < length) break;
    LATEEN_TRY(ExecMessage message, decode_exec_message(std::string_view(in_).substr(used + kExecFrameHeaderBytes, length)));
    used += kExecFrameHeaderBytes + length;
    Incoming incoming{std::move(message), {}};
    if (const auto* sockets = std::get_if<ExecSockets>(&incoming.message)) {
      if (received_.size() < sockets->count) return fail(ErrorCode::kProtocol, "fewer descriptors than announced");
      const auto end = received_.begin() + static_cast<std::ptrdiff_t>(sockets->count);
      std::move(received_.begin(), end, std::back_inserter(incoming.descriptors));
      received_.erase(received_.begin(), end);
    }
    into.push_back(std::move(incoming));
  }
  in_.erase(0, used);
  return {};
}

}  // namespace lateen::cli
