#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace lateen::net {

namespace {
constexpr Duration kTick = std::chrono::milliseconds(1);
}

void TimerWheel::List::append(Timer& timer) {
  timer.previous_ = last;
  timer.next_ = nullptr;
  (last != nullptr ? last->next_ : first) = &timer;
  last = &timer;
}

void TimerWheel::List::unlink(Timer& timer) {
  (timer.previous_ != nullptr ? timer.previous_->next_ : first) = timer.next_;
  (timer.next_ != nullptr ? timer.next_->previous_ : last) = timer.previous_;
  timer.previous_ = timer.next_ = nullptr;
}

TimerWheel::~TimerWheel() {
  const auto disarm = [](List& list) {
    for (Timer* timer = list.first; timer != nullptr;) {
      Timer* next = timer->next_;
      timer->loop_ = nullptr;
      timer->previous_ = timer->next_ = nullptr;
      timer = next;
    }
  };
  for (Level& level : levels_) std::for_each(level.slots.begin(), level.slots.end(), disarm);
  disarm(due_);
}

std::uint64_t TimerWheel::tick_of(Time deadline) const {
  if (deadline <= start_) return 0;
  const Duration since = deadline - start_;
  const auto ticks = static_cast<std::uint64_t>(since / kTick) + (since % kTick != Duration::zero() ? 1 : 0);
  return std::min(ticks, kTickMax);
}

Time TimerWheel::time_of(std::uint64_t tick) const { return start_ + kTick * static_cast<Duration::rep>(tick); }

TimerWheel::Position TimerWheel::position_of(std::uint64_t tick) const {
  const auto highest_bit = static_cast<unsigned>(std::bit_width(tick ^ elapsed_)) - 1;
  const unsigned level = highest_bit / kLevelBits;
  return {level, static_cast<unsigned>(tick >> (level * kLevelBits)) % kSlots};
}

void TimerWheel::place(Timer& timer) {
  const std::uint64_t tick = tick_of(timer.deadline_);
  if (tick <= elapsed_) {
    due_.append(timer);
    return;
  }
  const Position at = position_of(tick);
  levels_[at.level].slots[at.slot].append(timer);
  levels_[at.level].occupied |= std::uint64_t{1} << at.slot;
}

void TimerWheel::add(Timer& timer, Time deadline, TimerCallback callback, void* owner) {
  timer.loop_ = &loop_;
  timer.deadline_ = deadline;
  timer.sequence_ = sequence_++;
  timer.callback_ = callback;
  timer.owner_ = owner;
  ++size_;
  place(timer);
}

void TimerWheel::remove(Timer& timer) {
  const std::uint64_t tick = tick_of(timer.deadline_);
  timer.loop_ = nullptr;
  --size_;
  if (tick <= elapsed_) {
    due_.unlink(timer);
    return;
  }
  const Position at = position_of(tick);
  List& slot = levels_[at.level].slots[at.slot];
  slot.unlink(timer);
  if (slot.first == nullptr) levels_[at.level].occupied &= ~(std::uint64_t{1} << at.slot);
}

// All slots of a lower level come before those of a higher one: a higher slot begins where the lower level ends.
std::optional<std::uint64_t> TimerWheel::next_tick(Position& where) const {
  for (unsigned level = 0; level < kLevels; ++level) {
    if (levels_[level].occupied == 0) continue;
    const auto slot = static_cast<unsigned>(std::countr_zero(levels_[level].occupied));
    const unsigned shift = level * kLevelBits;
    const std::uint64_t above = elapsed_ >> (shift + kLevelBits) << (shift + kLevelBits);
    where = {level, slot};
    return above | (std::uint64_t{slot} << shift);
  }
  return std::nullopt;
}

std::optional<Time> TimerWheel::next() const {
  if (has_due()) return time_of(elapsed_);
  Position where{};
  const std::optional<std::uint64_t> tick = next_tick(where);
  return tick ? std::optional<Time>(time_of(*tick)) : std::nullopt;
}

void TimerWheel::advance(Time now) {
  if (now < start_) return;
  const std::uint64_t target = std::min(static_cast<std::uint64_t>((now - start_) / kTick), kTickMax);
  Position where{};
  for (;;) {
    const std::optional<std::uint64_t> tick = next_tick(where);
    if (!tick || *tick > target) break;
    elapsed_ = *tick;
    Level& level = levels_[where.level];
    level.occupied &= ~(std::uint64_t{1} << where.slot);
    const List moved = std::exchange(level.slots[where.slot], List{});
    for (Timer* timer = moved.first; timer != nullptr;) {
      Timer* next = timer->next_;
      place(*timer);
      timer = next;
    }
  }
  elapsed_ = std::max(elapsed_, target);
}

void TimerWheel::fire_due() {
  const std::uint64_t armed_before = sequence_;
  while (due_.first != nullptr && due_.first->sequence_ < armed_before) {
    Timer& timer = *due_.first;
    due_.unlink(timer);
    timer.loop_ = nullptr;
    --size_;
    timer.callback_(timer.owner_);  // may destroy the timer
  }
}

}  // namespace lateen::net
