// InlineList<T>: a list that mostly has one entry, which then lies in the list itself: no memory of its own, and no cache line
// more for whoever has the list at hand. Used like a std::vector, as far as it goes.
//
// kAlignment is that of the memory for several entries, in bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace lateen {

template <class T, std::size_t kAlignment = alignof(T)>
class InlineList {
  static_assert(std::is_nothrow_move_constructible_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  InlineList() {}
  InlineList(std::initializer_list<T> items) : InlineList(items.begin(), items.end()) {}
  template <std::forward_iterator Iterator>
  InlineList(Iterator first, Iterator last) {
    reserve(static_cast<std::size_t>(std::distance(first, last)));
    for (; first != last; ++first) push_back(*first);
  }
  InlineList(const InlineList& other) : InlineList(other.begin(), other.end()) {}
  InlineList(InlineList&& other) noexcept { take(other); }
  InlineList& operator=(InlineList other) noexcept {
    clear();
    take(other);
    return *this;
  }
  ~InlineList() { clear(); }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T* begin() { return room_ == 1 ? &one_ : many_; }
  T* end() { return begin() + size_; }
  const T* begin() const { return room_ == 1 ? &one_ : many_; }
  const T* end() const { return begin() + size_; }
  T* data() { return begin(); }
  const T* data() const { return begin(); }
  T& operator[](std::size_t index) { return begin()[index]; }
  const T& operator[](std::size_t index) const { return begin()[index]; }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  T& back() { return end()[-1]; }
  const T& back() const { return end()[-1]; }

  void reserve(std::size_t room) {
    if (room > room_) grow(static_cast<std::uint32_t>(room));
  }
  void push_back(T item) { emplace_back(std::move(item)); }
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == room_) grow(room_ * 2);
    T* const made = std::construct_at(begin() + size_, std::forward<Args>(args)...);
    ++size_;
    return *made;
  }
  void clear() {
    std::destroy(begin(), end());
    if (room_ > 1) ::operator delete(many_, std::align_val_t{kAlignment});
    size_ = 0;
    room_ = 1;
  }

 private:
  // Takes what `other` has; this one has nothing.
  void take(InlineList& other) noexcept {
    if (other.room_ > 1) {
      many_ = other.many_;
      size_ = std::exchange(other.size_, 0);
      room_ = std::exchange(other.room_, 1);
    } else if (other.size_ == 1) {
      std::construct_at(&one_, std::move(other.one_));
      size_ = 1;
      other.clear();
    }
  }
  void grow(std::uint32_t room) {
    T* const wider = static_cast<T*>(::operator new(room * sizeof(T), std::align_val_t{kAlignment}));
    const std::uint32_t size = size_;
    std::uninitialized_move(begin(), end(), wider);
    clear();
    many_ = wider;
    size_ = size;
    room_ = room;
  }

  std::uint32_t size_ = 0, room_ = 1;
  union {
    T one_;      // room_ == 1
    T* many_;    // room_ > 1: so many places
  };
};

}  // namespace lateen
