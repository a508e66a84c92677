#include "stream/outbox.h"

#include <algorithm>
#include <array>

namespace lateen::stream {

namespace {
constexpr std::size_t kPartsPerWrite = 64;
}

void Outbox::count(std::size_t bytes, bool is_body) {
  if (bytes == 0) return;
  if (!runs_.empty() && runs_.back().is_body == is_body) {
    runs_.back().bytes += bytes;
  } else {
    runs_.push_back({bytes, is_body});
  }
}

void Outbox::put(Slice slice, bool is_body) {
  count(slice.size(), is_body);
  bytes_.append(std::move(slice));
}

void Outbox::put_framing(std::string_view bytes) {
  count(bytes.size(), false);
  bytes_.append_copy(bytes);
}

void Outbox::put_static(std::string_view bytes) { put(Slice(nullptr, bytes.data(), bytes.size()), false); }

void Outbox::put_body(Buffer body) {
  count(body.size(), true);
  bytes_.append(std::move(body));
}

// Removes `bytes` from the front of the runs; how many of them were body.
std::size_t Outbox::take(std::size_t bytes) {
  std::size_t body = 0;
  std::size_t finished = 0;
  for (Run& run : runs_) {
    if (bytes == 0) break;
    const std::size_t part = std::min(bytes, run.bytes);
    if (run.is_body) body += part;
    run.bytes -= part;
    bytes -= part;
    if (run.bytes == 0) ++finished;
  }
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(finished));
  return body;
}

Outbox::Flush Outbox::flush(net::Socket& socket, std::size_t& body_bytes) {
  body_bytes = 0;
  std::array<iovec, kPartsPerWrite> parts;
  while (!bytes_.empty()) {
    const std::size_t count = bytes_.fill_iovec(parts);
    const net::IoResult result = socket.writev({parts.data(), count});
    if (result.status == net::IoStatus::kWouldBlock) return Flush::kBlocked;
    if (result.status != net::IoStatus::kOk) return Flush::kFailed;
    bytes_.remove_prefix(result.bytes);
    body_bytes += take(result.bytes);
  }
  return Flush::kEmpty;
}

void Outbox::clear() {
  bytes_.clear();
  runs_.clear();
}

}  // namespace lateen::stream
