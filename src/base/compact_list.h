// CompactList<T>: a std::vector in the room of one pointer, for lists that are mostly empty. Used like one, as far as it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

namespace lateen {

template <class T>
class CompactList {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  CompactList() = default;
  CompactList(std::initializer_list<T> items) : CompactList(items.begin(), items.end()) {}
  template <class Iterator>
  CompactList(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(*first);
  }
  CompactList(const CompactList& other) : CompactList(other.begin(), other.end()) {}
  CompactList(CompactList&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  CompactList& operator=(CompactList other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~CompactList() { clear(); }

  bool empty() const { return block_ == nullptr; }
  std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  T* begin() { return block_ == nullptr ? nullptr : items(block_); }
  T* end() { return begin() + size(); }
  const T* begin() const { return block_ == nullptr ? nullptr : items(block_); }
  const T* end() const { return begin() + size(); }
  const T* data() const { return begin(); }
  T& operator[](std::size_t index) { return begin()[index]; }
  const T& operator[](std::size_t index) const { return begin()[index]; }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  T& back() { return end()[-1]; }
  const T& back() const { return end()[-1]; }

  void push_back(T item) { emplace_back(std::move(item)); }
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (block_ == nullptr || block_->size == block_->room) grow(block_ == nullptr ? 1 : block_->room * 2);
    T* const made = new (items(block_) + block_->size) T(std::forward<Args>(args)...);
    ++block_->size;
    return *made;
  }
  void clear() {
    if (block_ == nullptr) return;
    std::destroy(begin(), end());
    free_block(std::exchange(block_, nullptr));
  }

 private:
  struct alignas(alignof(T) > alignof(std::uint32_t) ? alignof(T) : alignof(std::uint32_t)) Block {
    std::uint32_t size, room;
  };
  static T* items(Block* block) { return reinterpret_cast<T*>(block + 1); }
  static const T* items(const Block* block) { return reinterpret_cast<const T*>(block + 1); }
  static void free_block(Block* block) { ::operator delete(static_cast<void*>(block)); }
  void grow(std::uint32_t room) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    Block* const before = block_;
    const std::uint32_t size = before == nullptr ? 0 : before->size;
    block_ = new (::operator new(sizeof(Block) + room * sizeof(T))) Block{size, room};
    if (before == nullptr) return;
    std::uninitialized_move_n(items(before), size, items(block_));
    std::destroy_n(items(before), size);
    free_block(before);
  }

  Block* block_ = nullptr;   // null: empty
};

}  // namespace lateen
