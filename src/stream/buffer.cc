#include "stream/buffer.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/result.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

namespace {

constexpr std::size_t kFreeSlabsMax = 64;    // of one thread: 1 MiB
constexpr std::size_t kReadBytesMin = 4096;  // a smaller rest of a slab is not worth a system call
// A slice smaller than this is copied behind the one before it instead of being kept as an entry of its own: a body in
// chunks of one byte must not cost thirty bytes a byte.
constexpr std::size_t kJoinBytesMax = 128;

// Freed slabs of this thread. `gone` has no destructor, so it can be asked when the thread's objects are being destroyed.
thread_local bool free_slabs_gone = false;
struct FreeSlabs {
  std::vector<Slab*> slabs;
  ~FreeSlabs() {
    for (Slab* slab : slabs) delete slab;
    free_slabs_gone = true;
  }
};
FreeSlabs& free_slabs() {
  thread_local FreeSlabs slabs;
  return slabs;
}

}  // namespace

Slab* Slab::make() {
  if (!free_slabs_gone) {
    std::vector<Slab*>& slabs = free_slabs().slabs;
    if (!slabs.empty()) {
      Slab* slab = slabs.back();
      slabs.pop_back();
      slab->references_ = 1;
      return slab;
    }
  }
  return new Slab;
}

void Slab::release() {
  if (--references_ > 0) return;
  if (free_slabs_gone || free_slabs().slabs.size() >= kFreeSlabsMax) {
    delete this;
  } else {
    free_slabs().slabs.push_back(this);
  }
}

void Buffer::append(Slice slice) {
  if (slice.size() == 0) return;
  size_ += slice.size();
  if (!slices_.empty()) {
    Slice& last = slices_.back();
    if (last.join(slice)) return;
    if (slice.size() <= kJoinBytesMax && last.size() <= kJoinBytesMax) {
      SlabArena& arena = SlabArena::for_copies();
      char* to = arena.reserve(2 * kJoinBytesMax).data();
      std::memcpy(to, slice.view().data(), slice.size());
      Slice copy = arena.commit(slice.size());
      if (!last.join(copy)) slices_.push_back(std::move(copy));
      return;
    }
  }
  slices_.push_back(std::move(slice));
}

void Buffer::append(Buffer&& other) {
  if (slices_.empty()) {
    *this = std::move(other);
    return;
  }
  for (Slice& slice : other.slices_) append(std::move(slice));
  other.clear();
}

void Buffer::append_copy(std::string_view bytes) {
  SlabArena& arena = SlabArena::for_copies();
  while (!bytes.empty()) {
    const std::span<char> room = arena.reserve(1);
    const std::size_t size = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), size);
    append(arena.commit(size));
    bytes.remove_prefix(size);
  }
}

void Buffer::append_static(std::string_view bytes) { append(Slice(nullptr, bytes.data(), bytes.size())); }

Buffer Buffer::share() const {
  Buffer copy;
  copy.slices_ = slices_;
  copy.size_ = size_;
  return copy;
}

void Buffer::remove_prefix(std::size_t bytes) {
  LATEEN_CHECK(bytes <= size_);
  size_ -= bytes;
  auto slice = slices_.begin();
  while (slice != slices_.end() && slice->size() <= bytes) {
    bytes -= slice->size();
    ++slice;
  }
  slices_.erase(slices_.begin(), slice);
  if (bytes > 0) slices_.front().remove_prefix(bytes);
}

void Buffer::move_prefix(std::size_t bytes, Buffer& into) {
  if (bytes == size_) {
    into.append(std::move(*this));
    return;
  }
  std::size_t left = bytes;
  for (const Slice& slice : slices_) {
    if (left == 0) break;
    const std::size_t size = std::min(left, slice.size());
    into.append(slice.part(slice.view().substr(0, size)));
    left -= size;
  }
  remove_prefix(bytes);
}

void Buffer::clear() {
  slices_.clear();
  size_ = 0;
}

std::size_t Buffer::fill_iovec(std::span<iovec> into) const {
  const std::size_t count = std::min(into.size(), slices_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view view = slices_[i].view();
    into[i] = {const_cast<char*>(view.data()), view.size()};  // iovec has no const form; only written from
  }
  return count;
}

std::string Buffer::to_string() const {
  std::string text;
  text.reserve(size_);
  for (const Slice& slice : slices_) text += slice.view();
  return text;
}

// ---- SlabArena ----------------------------------------------------------------------------------------------------

SlabArena::~SlabArena() {
  if (slab_ != nullptr) slab_->release();
}

std::span<char> SlabArena::reserve(std::size_t bytes_min) {
  LATEEN_CHECK(bytes_min <= kSlabBytes);
  if (slab_ != nullptr && slab_->unique()) used_ = 0;
  if (slab_ == nullptr || kSlabBytes - used_ < bytes_min) {
    if (slab_ != nullptr) slab_->release();
    slab_ = Slab::make();
    used_ = 0;
  }
  return {reinterpret_cast<char*>(slab_->data()) + used_, kSlabBytes - used_};
}

Slice SlabArena::commit(std::size_t bytes) {
  Slice slice(slab_, reinterpret_cast<const char*>(slab_->data()) + used_, bytes);
  used_ += bytes;
  return slice;
}

SlabArena& SlabArena::for_copies() {
  thread_local SlabArena arena;
  return arena;
}

SlabArena& SlabArena::for_reads() {
  thread_local SlabArena arena;
  return arena;
}

namespace {

// A read that is larger than one slab: the rest of the arena's slab and fresh ones behind it.
net::IoResult read_large(net::Socket& socket, Buffer& into) {
  constexpr std::size_t kParts = kLargeReadBytes / kSlabBytes;
  SlabArena& arena = SlabArena::for_reads();
  const std::span<char> room = arena.reserve(kReadBytesMin);
  Slab* slabs[kParts - 1];
  iovec parts[kParts];
  parts[0] = {room.data(), room.size()};
  for (std::size_t i = 0; i + 1 < kParts; ++i) {
    slabs[i] = Slab::make();
    parts[i + 1] = {slabs[i]->data(), kSlabBytes};
  }
  const net::IoResult result = socket.readv(parts);
  std::size_t left = result.status == net::IoStatus::kOk ? result.bytes : 0;
  const std::size_t first = std::min(left, room.size());
  if (first > 0) into.append(arena.commit(first));
  left -= first;
  for (Slab* slab : slabs) {
    const std::size_t size = std::min(left, kSlabBytes);
    if (size > 0) into.append(Slice(slab, reinterpret_cast<const char*>(slab->data()), size));
    left -= size;
    slab->release();
  }
  return result;
}

}  // namespace

net::IoResult read_into(net::Socket& socket, Buffer& into, bool large) {
  if (large) return read_large(socket, into);
  SlabArena& arena = SlabArena::for_reads();
  const std::span<char> room = arena.reserve(kReadBytesMin);
  const net::IoResult result = socket.read(std::as_writable_bytes(room));
  if (result.status == net::IoStatus::kOk) into.append(arena.commit(result.bytes));
  return result;
}

}  // namespace lateen::stream
