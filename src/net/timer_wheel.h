// TimerWheel: where the armed timers of one loop wait. Seven levels of 64 slots; a slot of level 0 is one millisecond,
// one of level n is 64^n. Arm, cancel and expiry of one timer are O(1); a timer is moved down at most once a level.
//
// A timer lies at the level of the highest base-64 digit in which its tick differs from the current one. Two timers of
// one tick are therefore always in the same slot, and every move keeps their order: equal ticks fire first in, first out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "net/loop.h"

namespace lateen::net {

class TimerWheel {
 public:
  // `loop` is what armed timers point at; `start` is the time of tick 0.
  TimerWheel(Loop& loop, Time start) : loop_(loop), start_(start) {}
  // Disarms what is still armed.
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // `timer` must not be armed. A deadline that has passed makes it due at once.
  void add(Timer& timer, Time deadline, TimerCallback callback, void* owner);
  void remove(Timer& timer);

  // Makes every timer due whose deadline is not after `now`. Calls nothing.
  void advance(Time now);
  bool has_due() const { return due_.first != nullptr; }
  // Calls the timers that are due, in order; those that become due meanwhile wait for the next call.
  void fire_due();

  // When advance() next has something to do; not after the earliest deadline. Nothing: no timer waits.
  std::optional<Time> next() const;
  std::size_t size() const { return size_; }

 private:
  static constexpr unsigned kLevelBits = 6;
  static constexpr unsigned kSlots = 1u << kLevelBits;
  static constexpr unsigned kLevels = 7;
  static constexpr std::uint64_t kTickMax = (std::uint64_t{1} << (kLevelBits * kLevels)) - 1;  // 139 years

  struct List {
    Timer* first = nullptr;
    Timer* last = nullptr;
    void append(Timer& timer);
    void unlink(Timer& timer);
  };
  struct Level {
    std::uint64_t occupied = 0;  // bit n: slot n has a timer
    std::array<List, kSlots> slots;
  };
  struct Position {
    unsigned level;
    unsigned slot;
  };

  std::uint64_t tick_of(Time deadline) const;  // rounded up: never early
  Time time_of(std::uint64_t tick) const;
  Position position_of(std::uint64_t tick) const;  // tick > elapsed_
  std::optional<std::uint64_t> next_tick(Position& where) const;
  void place(Timer& timer);

  Loop& loop_;
  const Time start_;
  std::uint64_t elapsed_ = 0;  // ticks that have been worked off; timers of these are in due_
  std::uint64_t sequence_ = 0;
  std::size_t size_ = 0;
  std::array<Level, kLevels> levels_;
  List due_;
};

}  // namespace lateen::net
