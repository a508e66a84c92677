// HeadRegion: the contiguous bytes of one message head, for the parsers of http/. Most heads come in one read: they stay
// where they were read, in a slice. A head that came in pieces is gathered in a block of its own.
#pragma once

#include <cstddef>
#include <string>

#include "stream/buffer.h"

namespace lateen::stream {

class HeadRegion {
 public:
  // Takes what `in` holds into the region. Calls until finish() must pass the same buffer.
  void take(Buffer& in);
  char* data();
  const char* data() const { return gathered_ ? block_.data() : slice_.view().data(); }
  std::size_t size() const { return gathered_ ? block_.size() : slice_.size(); }
  // The first `bytes` are the head and are kept; what came behind them goes back to the front of `in`, which take() has
  // left empty.
  void finish(std::size_t bytes, Buffer& in);
  // Lets go of the bytes.
  void clear();

 private:
  Slice slice_;
  std::string block_;
  bool gathered_ = false;
};

}  // namespace lateen::stream
