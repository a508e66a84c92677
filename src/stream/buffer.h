// Buffer: a sequence of slices of reference-counted slabs. Moving bytes from one connection to another moves slices,
// never bytes. Belongs to one thread: the counts are not atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <utility>
#include <vector>

namespace lateen::stream {

inline constexpr std::size_t kSlabBytes = 16 * 1024;

// A block of bytes with a count of its slices. Freed slabs go to a bounded free list of their thread.
class Slab {
 public:
  static Slab* make();  // count 1
  void retain() { ++references_; }
  void release();
  std::byte* data() { return bytes_; }
  bool unique() const { return references_ == 1; }

 private:
  std::uint32_t references_ = 1;
  alignas(16) std::byte bytes_[kSlabBytes];
};

// A part of a slab, or of static bytes (slab null).
class Slice {
 public:
  Slice() = default;
  Slice(Slab* slab, const char* data, std::size_t size) : slab_(slab), data_(data), size_(size) {
    if (slab_ != nullptr) slab_->retain();
  }
  Slice(Slice&& other) noexcept
      : slab_(std::exchange(other.slab_, nullptr)), data_(other.data_), size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice&& other) noexcept {
    std::swap(slab_, other.slab_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Slice(const Slice& other) : Slice(other.slab_, other.data_, other.size_) {}
  Slice& operator=(const Slice& other) { return *this = Slice(other); }
  ~Slice() {
    if (slab_ != nullptr) slab_->release();
  }

  std::string_view view() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  // The bytes of `part`, which lie inside this slice, as a slice of their own.
  Slice part(std::string_view part) const { return {slab_, part.data(), part.size()}; }
  // Takes `next` in, if its bytes stand directly behind these in the same slab.
  bool join(const Slice& next) {
    if (slab_ == nullptr || next.slab_ != slab_ || next.data_ != data_ + size_) return false;
    size_ += next.size_;
    return true;
  }
  void remove_prefix(std::size_t bytes) { data_ += bytes; size_ -= bytes; }
  void remove_suffix(std::size_t bytes) { size_ -= bytes; }

 private:
  Slab* slab_ = nullptr;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept : slices_(std::move(other.slices_)), size_(std::exchange(other.size_, 0)) {
    other.slices_.clear();
  }
  Buffer& operator=(Buffer&& other) noexcept {
    slices_ = std::move(other.slices_);
    other.slices_.clear();
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void append(Slice slice);
  void append(Buffer&& other);
  void append_copy(std::string_view bytes);      // copies into slabs
  void append_static(std::string_view bytes);    // the bytes live for ever
  Buffer share() const;                          // the same slices again: for bodies kept for a retry
  void remove_prefix(std::size_t bytes);
  void move_prefix(std::size_t bytes, Buffer& into);  // the first `bytes` go to the end of `into`
  void clear();
  std::size_t fill_iovec(std::span<iovec> into) const;  // how many entries were used
  std::string to_string() const;                 // for tests and small local bodies
  const std::vector<Slice>& slices() const { return slices_; }

 private:
  std::vector<Slice> slices_;
  std::size_t size_ = 0;
};

}  // namespace lateen::stream
