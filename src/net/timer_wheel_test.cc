#include "net/timer_wheel.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <vector>

#include "testing/virtual_loop.h"

namespace lateen::net {
namespace {

using namespace std::chrono_literals;

struct Probe {
  testing::VirtualLoop* loop;
  std::vector<std::pair<int, Time>>* fired;
  int number = 0;
  Time deadline{};
  Timer timer;
  void on_fire() { fired->emplace_back(number, loop->now()); }
};

TEST(TimerWheel, FiresEachTimerOnceInOrderOfDeadlineNeverEarlyAndLessThanTwoTicksLate) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    testing::VirtualLoop loop(seed);
    std::vector<std::pair<int, Time>> fired;
    std::vector<std::unique_ptr<Probe>> probes;
    for (int i = 0; i < 100; ++i) {
      auto probe = std::make_unique<Probe>();
      probe->loop = &loop;
      probe->fired = &fired;
      probe->number = i;
      // Delays of every size: from microseconds to months, and many equal ones.
      const std::int64_t scale = std::int64_t{1} << (random() % 53);
      const Duration delay(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(scale)) / 1000 * 1000);
      probe->deadline = loop.now() + delay;
      loop.arm<&Probe::on_fire>(probe->timer, delay, probe.get());
      probes.push_back(std::move(probe));
      if (i % 10 == 9) loop.run_for(Duration(static_cast<std::int64_t>(random() % 5'000'000)));
    }
    loop.run_until_idle();
    ASSERT_EQ(fired.size(), probes.size()) << "seed " << seed;
    for (std::size_t i = 0; i < fired.size(); ++i) {
      const Probe& probe = *probes[static_cast<std::size_t>(fired[i].first)];
      EXPECT_GE(fired[i].second, probe.deadline) << "seed " << seed;
      EXPECT_LT(fired[i].second - probe.deadline, 2ms) << "seed " << seed;
      if (i > 0) {
        EXPECT_GE(fired[i].second, fired[i - 1].second) << "seed " << seed;
      }
    }
  }
}

TEST(TimerWheel, EqualDeadlinesFireInTheOrderInWhichTheyWereArmed) {
  testing::VirtualLoop loop(1);
  std::vector<std::pair<int, Time>> fired;
  Probe early{&loop, &fired, 1, {}, {}}, middle{&loop, &fired, 2, {}, {}}, late{&loop, &fired, 3, {}, {}};
  // All three fall due together, armed at different distances, so from different levels of the wheel.
  loop.arm<&Probe::on_fire>(early.timer, 5000ms, &early);
  loop.run_for(4000ms);
  loop.arm<&Probe::on_fire>(middle.timer, 1000ms, &middle);
  loop.run_for(990ms);
  loop.arm<&Probe::on_fire>(late.timer, 10ms, &late);
  loop.run_until_idle();
  ASSERT_EQ(fired.size(), 3u);
  EXPECT_EQ(fired[0].first, 1);
  EXPECT_EQ(fired[1].first, 2);
  EXPECT_EQ(fired[2].first, 3);
}

TEST(TimerWheel, ACancelledOrDestroyedTimerDoesNotFireWhereverItLies) {
  for (const Duration delay : {Duration(0), Duration(1ms), Duration(70ms), Duration(5s), Duration(24h)}) {
    testing::VirtualLoop loop(1);
    std::vector<std::pair<int, Time>> fired;
    Probe cancelled{&loop, &fired, 1, {}, {}};
    loop.arm<&Probe::on_fire>(cancelled.timer, delay, &cancelled);
    {
      Probe destroyed{&loop, &fired, 2, {}, {}};
      loop.arm<&Probe::on_fire>(destroyed.timer, delay, &destroyed);
    }
    cancelled.timer.cancel();
    EXPECT_FALSE(cancelled.timer.armed());
    loop.run_until_idle();
    EXPECT_TRUE(fired.empty());
  }
}

TEST(TimerWheel, ATimerMayBeRearmedAndItsNeighbourCancelledFromItsOwnCallback) {
  struct Chain {
    testing::VirtualLoop& loop;
    int rounds = 0;
    Timer timer;
    Timer neighbour;
    void on_fire() {
      neighbour.cancel();
      if (++rounds < 1000) loop.arm<&Chain::on_fire>(timer, 3ms, this);
      if (rounds < 1000) loop.arm<&Chain::never>(neighbour, 3ms, this);
    }
    void never() { FAIL() << "the neighbour is armed after its canceller and must not fire"; }
  };
  testing::VirtualLoop loop(1);
  Chain chain{loop, 0, {}, {}};
  const Time start = loop.now();
  loop.arm<&Chain::on_fire>(chain.timer, 3ms, &chain);
  loop.run_until_idle();
  EXPECT_EQ(chain.rounds, 1000);
  EXPECT_EQ(loop.now() - start, 3000ms);
}

TEST(TimerWheel, AZeroDelayRunsAfterTheCurrentEventAtTheSameTime) {
  struct Order {
    testing::VirtualLoop& loop;
    std::vector<int> seen;
    Timer first, second;
    void on_first() {
      loop.arm<&Order::on_second>(second, 0ms, this);
      seen.push_back(1);
    }
    void on_second() { seen.push_back(2); }
  };
  testing::VirtualLoop loop(1);
  Order order{loop, {}, {}, {}};
  loop.arm<&Order::on_first>(order.first, 10ms, &order);
  const Time start = loop.now();
  loop.run_until_idle();
  EXPECT_EQ(order.seen, (std::vector<int>{1, 2}));
  EXPECT_EQ(loop.now() - start, 10ms);
}

TEST(TimerWheel, DestroyingTheLoopDisarmsItsTimers) {
  Timer timer;
  {
    testing::VirtualLoop loop(1);
    loop.arm(timer, 5s, [](void*) {}, nullptr);
    EXPECT_TRUE(timer.armed());
  }
  EXPECT_FALSE(timer.armed());
}

}  // namespace
}  // namespace lateen::net
