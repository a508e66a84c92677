#include "proxy/socket_relay.h"

#include <span>

namespace lateen::proxy {

RelayDirection::~RelayDirection() {
  if (slab_ != nullptr) slab_->release();
}

RelayDirection::Progress RelayDirection::pump(net::Socket& from, net::Socket& to) {
  for (int round = 0; round < kRoundsMax; ++round) {
    if (holding()) {
      const iovec piece{.iov_base = slab_->data() + first_, .iov_len = last_ - first_};
      const net::IoResult written = to.writev({&piece, 1});
      if (written.status == net::IoStatus::kWouldBlock) return Progress::kWaiting;
      if (written.status != net::IoStatus::kOk) return Progress::kFailed;
      first_ += written.bytes;
      continue;
    }
    if (end_seen_) {
      if (!handed_end_on_) to.shutdown_write();
      handed_end_on_ = true;
      return Progress::kEnded;
    }
    if (slab_ == nullptr) slab_ = stream::Slab::make();
    first_ = last_ = 0;
    const net::IoResult read = from.read(std::span(slab_->data(), stream::kSlabBytes));
    if (read.status != net::IoStatus::kOk) {
      // An idle connection holds no memory.
      slab_->release();
      slab_ = nullptr;
    }
    switch (read.status) {
      case net::IoStatus::kOk:
        last_ = read.bytes;
        bytes_ += read.bytes;
        break;
      case net::IoStatus::kWouldBlock: return Progress::kWaiting;
      case net::IoStatus::kEnd: end_seen_ = true; break;
      case net::IoStatus::kError: return Progress::kFailed;
    }
  }
  return Progress::kMore;
}

}  // namespace lateen::proxy
