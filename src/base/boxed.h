// Boxed<T>: an optional value that lives apart: the room of one pointer where there is none, and copies share it.
//
// Used like std::optional. Whoever may write parts from the copies first, so a value that others see never changes.
// Copies may be used from different threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace lateen {

template <class T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(std::nullopt_t) {}                                                          // NOLINT: as std::optional
  Boxed(T value) : box_(new Box{{1}, std::move(value)}) {}                          // NOLINT
  Boxed(std::optional<T> value) {                                                   // NOLINT
    if (value) *this = Boxed(*std::move(value));
  }
  Boxed(const Boxed& other) : box_(other.box_) {
    if (box_ != nullptr) box_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  Boxed(Boxed&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  Boxed& operator=(Boxed other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~Boxed() {
    if (box_ != nullptr && box_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete box_;
  }

  explicit operator bool() const { return box_ != nullptr; }
  bool has_value() const { return box_ != nullptr; }
  // There must be a value.
  const T& operator*() const { return box_->value; }
  const T* operator->() const { return &box_->value; }
  const T& value() const { return box_->value; }
  T value_or(T otherwise) const { return box_ == nullptr ? std::move(otherwise) : box_->value; }
  T& operator*() { return own(); }
  T* operator->() { return &own(); }
  T& emplace() {
    *this = Boxed(T{});
    return box_->value;
  }
  void reset() { *this = Boxed(); }
  bool shares_with(const Boxed& other) const { return box_ == other.box_; }

  friend bool operator==(const Boxed& a, const Boxed& b) {
    return a.box_ == b.box_ || (a.box_ != nullptr && b.box_ != nullptr && a.box_->value == b.box_->value);
  }

 private:
  struct Box {
    std::atomic<std::uint32_t> owners;
    T value;
  };
  T& own() {
    if (box_->owners.load(std::memory_order_acquire) != 1) *this = Boxed(T(box_->value));
    return box_->value;
  }

  Box* box_ = nullptr;
};

}  // namespace lateen
