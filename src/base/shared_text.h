// SharedText: text that does not change, in the room of one pointer. Copies share it, and nothing is taken for "".
//
// For values that are kept in great numbers, are mostly empty or mostly alike: a std::string takes 32 bytes where it says
// nothing. Copies may be used from different threads.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace lateen {

class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string_view text);                                          // NOLINT: as std::string
  SharedText(const std::string& text) : SharedText(std::string_view(text)) {}  // NOLINT
  SharedText(const char* text) : SharedText(std::string_view(text)) {}         // NOLINT
  SharedText(const SharedText& other) : block_(other.block_) {
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  SharedText(SharedText&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedText() { release(); }

  operator std::string_view() const { return view(); }  // NOLINT: as std::string
  std::string_view view() const { return block_ == nullptr ? std::string_view() : std::string_view(block_->bytes(), block_->size); }
  std::string str() const { return std::string(view()); }
  // Asks for the text, which is soon to be read.
  void prefetch() const { __builtin_prefetch(block_); }
  bool empty() const { return block_ == nullptr; }
  std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  bool shares_with(const SharedText& other) const { return block_ == other.block_; }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.block_ == b.block_ || a.view() == b.view(); }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const std::string& b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const char* b) { return a.view() == b; }
  friend std::strong_ordering operator<=>(const SharedText& a, const SharedText& b) { return a.view() <=> b.view(); }
  friend std::strong_ordering operator<=>(const SharedText& a, std::string_view b) { return a.view() <=> b; }
  friend std::strong_ordering operator<=>(const SharedText& a, const std::string& b) { return a.view() <=> std::string_view(b); }
  friend std::string operator+(std::string a, const SharedText& b) { return std::move(a.append(b.view())); }
  friend std::string operator+(const SharedText& a, std::string_view b) { return a.str().append(b); }
  friend std::string operator+(const SharedText& a, char b) { return a.str() + b; }
  friend std::ostream& operator<<(std::ostream& out, const SharedText& text) { return out << text.view(); }

 private:
  // Followed by its bytes.
  struct Block {
    std::atomic<std::uint32_t> owners;
    std::uint32_t size;
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  };
  void release();

  Block* block_ = nullptr;   // null: ""
};

}  // namespace lateen

template <>
struct std::hash<lateen::SharedText> {
  std::size_t operator()(const lateen::SharedText& text) const noexcept { return std::hash<std::string_view>{}(text.view()); }
};
