// SPDX-License-Identifier: MIT
//
// Pools that an event loop looks after.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "worker/descriptor.hpp"
#include "worker/host.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::SizeIs;

struct State {
  test::Gated gated;
};
const test::Shared<State> state;

int square(int x) {
  return x * x;
}
int hang(int x) {
  for (;;) ::pause();
  return x;
}
int wait_for_gate(int x) {
  return state->gated.wait_for_gate(x);
}
int fail_at_first(int x) {
  if (this_task::attempt() == 1) throw std::runtime_error("not yet");
  return x;
}

/// The smallest event loop there is.
class Loop {
 public:
  explicit Loop(Pool& pool, std::uint32_t flags = 0) : pool_(pool) {
    epoll_event event{};
    event.events = EPOLLIN | flags;
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pool.native_handle(), &event), 0);
  }
  /// Waits for the pool; false if it had nothing to say.
  bool turn(std::chrono::milliseconds limit = test::kPatience) {
    epoll_event event{};
    if (::epoll_wait(epoll_.get(), &event, 1, static_cast<int>(limit.count())) != 1) return false;
    ++wakes;
    pool_.poll();
    return true;
  }
  /// True if that came about.
  template <class Condition>
  bool until(Condition condition) {
    while (!condition()) {
      if (!turn()) return condition();
    }
    return true;
  }
  /// Until nothing more is said.
  void settle() {
    while (turn(100ms)) {
    }
  }

  int wakes = 0;

 private:
  Pool& pool_;
  bulkhead::detail::Descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
};

class LoopTest : public test::ProcessTest {
 protected:
  LoopTest() { state.reset(); }
};

TEST_F(LoopTest, CallsGetOnAndCallBackInItsTurns) {
  Pool pool(2);
  Loop loop(pool);
  const auto self = std::this_thread::get_id();
  int called = 0;
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 100; ++x) {
    results.push_back(pool.apply_async(square, x));
    results.back().on_success([&](int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++called;
    });
  }
  auto all = pool.map_async(square, numbers(0, 1000));
  EXPECT_EQ(called, 0);
  EXPECT_TRUE(loop.until([&] { return called == 100 && all.ready(); }));
  EXPECT_EQ(bulkhead::detail::thread_count(), 1);
  for (int x = 0; x < 100; ++x) EXPECT_EQ(results[static_cast<std::size_t>(x)].get(), x * x);
  EXPECT_THAT(all.get(), SizeIs(1000));
}

TEST_F(LoopTest, MayBeEdgeTriggered) {
  Pool pool(2);
  Loop loop(pool, EPOLLET);
  for (int round = 0; round < 50; ++round) {
    auto result = pool.apply_async(square, round);
    EXPECT_TRUE(loop.until([&] { return result.ready(); }));
  }
  int left = 50;
  pool.apply_async(square, 1).on_success([&](int) { --left; });
  std::function<void(int)> next = [&](int) {
    if (--left > 0) pool.apply_async(square, left).on_success(next);
  };
  pool.apply_async(square, 1).on_success(next);
  EXPECT_TRUE(loop.until([&] { return left <= 0; }));
}

TEST_F(LoopTest, IsLeftAloneByAnIdlePool) {
  Pool pool(2);
  Loop loop(pool);
  EXPECT_EQ(pool.map(square, numbers(0, 10)).size(), 10U);
  auto result = pool.apply_async(square, 3);
  EXPECT_TRUE(loop.until([&] { return result.ready(); }));
  loop.settle();
  EXPECT_FALSE(loop.turn(2s)) << "woken for nothing";
}

// One wake when it begins, and some until it is seen that nothing else is to do.
TEST_F(LoopTest, IsLeftAloneWhileATaskRuns) {
  Pool pool(2);
  Loop loop(pool);
  auto result = pool.apply_async(wait_for_gate, 3);
  EXPECT_TRUE(loop.until([&] { return state->gated.begun.value() == 1; }));
  loop.settle();
  const int before = loop.wakes;
  while (loop.turn(500ms) && loop.wakes - before < 10) {
  }
  EXPECT_LT(loop.wakes - before, 10);
  state->gated.gate.add();
  EXPECT_TRUE(loop.until([&] { return result.ready(); }));
}

TEST_F(LoopTest, IsToldWhenATasksTimeIsUp) {
  Pool pool(1);
  Loop loop(pool);
  std::exception_ptr error;
  pool.apply_async(CallOptions{.timeout = 100ms}, hang, 1).on_error([&](std::exception_ptr why) {
    error = why;
  });
  EXPECT_TRUE(loop.until([&] { return error != nullptr; }));
  EXPECT_THROW(std::rethrow_exception(error), TimeoutError);
  auto next = pool.apply_async(square, 3);
  EXPECT_TRUE(loop.until([&] { return next.ready(); }));
}

TEST_F(LoopTest, IsToldWhenItIsTimeForAnotherAttempt) {
  Pool pool(1);
  Loop loop(pool);
  const CallOptions options{.retries = {.exceptions = 1, .pause = 200ms}};
  auto result = pool.apply_async(options, fail_at_first, 7);
  EXPECT_TRUE(loop.until([&] { return result.ready(); }));
  EXPECT_EQ(result.get(), 7);
}

TEST_F(LoopTest, HearsOfProgress) {
  Pool pool(1);
  Loop loop(pool);
  int reports = 0;
  const CallOptions options{.progress = [&](const Progress&) { ++reports; }};
  auto result = pool.map_async(wait_for_gate, {1}, options);
  EXPECT_TRUE(loop.until([&] { return reports >= 2; }));
  state->gated.gate.add();
  EXPECT_TRUE(loop.until([&] { return result.ready(); }));
}

TEST_F(LoopTest, HearsOfTheDeathOfAnIdleWorker) {
  Pool pool(2);
  Loop loop(pool);
  loop.settle();
  const pid_t zygote = test::zygote_of(pool);
  const int victim = *test::workers_under(zygote).begin();
  test::kill_child_of(zygote, victim);
  EXPECT_TRUE(test::eventually([&] {
    static_cast<void>(loop.turn(1ms));
    const auto now = test::workers_under(zygote);
    return now.size() == 2 && !now.contains(victim);
  }));
}

TEST_F(LoopTest, HearsOfTheDeathOfABusyWorker) {
  Pool pool(2);
  Loop loop(pool);
  auto outcomes =
      pool.try_map_async([](int x) { return x % 10 == 3 ? ::raise(SIGKILL) : x; }, numbers(0, 100));
  EXPECT_TRUE(loop.until([&] { return outcomes.ready(); }));
  int failed = 0;
  for (const auto& outcome : outcomes.get()) failed += outcome ? 0 : 1;
  EXPECT_EQ(failed, 10);
}

TEST_F(LoopTest, TakesSubmissionsOfOtherThreads) {
  Pool pool(2);
  Loop loop(pool);
  std::atomic<int> called = 0;
  const auto self = std::this_thread::get_id();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int x = 0; x < 200; ++x) {
        pool.apply_async(square, x).on_success([&](int) {
          EXPECT_EQ(std::this_thread::get_id(), self);
          ++called;
        });
      }
    });
  }
  EXPECT_TRUE(loop.until([&] { return called == 800; }));
}

TEST_F(LoopTest, MayTurnInSeveralThreads) {
  Pool pool(2);
  static_cast<void>(pool.native_handle());
  std::atomic<int> called = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      Loop loop(pool);
      while (called < 300) static_cast<void>(loop.turn(10ms));
    });
  }
  for (int x = 0; x < 300; ++x) {
    pool.apply_async(square, x).on_success([&](int) { ++called; });
  }
  EXPECT_TRUE(test::eventually([&] { return called == 300; }));
}

// Whoever waits for a result drives; what is to be called back is called back by the loop.
TEST_F(LoopTest, CallsBackThoughAnotherThreadDrives) {
  Pool pool(2);
  Loop loop(pool);
  std::atomic<bool> is_over = false;
  std::jthread other([&] {
    while (!is_over) EXPECT_THAT(pool.map(square, numbers(0, 100)), SizeIs(100));
  });
  const auto self = std::this_thread::get_id();
  int called = 0;
  for (int round = 0; round < 100; ++round) {
    pool.apply_async(square, round).on_success([&](int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++called;
    });
    EXPECT_TRUE(loop.until([&] { return called == round + 1; }));
  }
  is_over = true;
}

TEST_F(LoopTest, IsNotKeptAwakeByWhoDrives) {
  Pool pool(1);
  Loop loop(pool);
  std::atomic<bool> is_over = false;
  std::jthread other([&] {
    EXPECT_THAT(pool.map(wait_for_gate, {1}), SizeIs(1));
    is_over = true;
  });
  ASSERT_TRUE(state->gated.begun.reaches(1));
  loop.settle();
  const int before = loop.wakes;
  while (loop.turn(500ms) && loop.wakes - before < 50) {
  }
  EXPECT_LT(loop.wakes - before, 50);
  state->gated.gate.add();
}

TEST_F(LoopTest, MayWaitForAResultAllTheSame) {
  Pool pool(2);
  Loop loop(pool);
  int called = 0;
  auto result = pool.apply_async(square, 3);
  result.on_success([&](int) { ++called; });
  EXPECT_EQ(result.get(), 9);
  EXPECT_EQ(called, 0) << "callbacks come in poll()";
  EXPECT_TRUE(loop.until([&] { return called == 1; }));
  result.on_success([&](int) { ++called; });
  EXPECT_EQ(called, 1) << "callbacks come in poll()";
  EXPECT_TRUE(loop.until([&] { return called == 2; }));
}

TEST_F(LoopTest, TakesOverFromTheHelperThread) {
  Pool pool(1);
  auto first = pool.apply_async(wait_for_gate, 1);
  ASSERT_TRUE(state->gated.begun.reaches(1));
  Loop loop(pool);
  const auto self = std::this_thread::get_id();
  bool called = false;
  first.on_success([&](int) {
    EXPECT_EQ(std::this_thread::get_id(), self);
    called = true;
  });
  state->gated.gate.add();
  EXPECT_TRUE(loop.until([&] { return called; }));
}

TEST_F(LoopTest, ThatIsLateEachTimeKeepsTheWorkersBusyAllTheSame) {
  Pool pool(2);
  (void)pool.native_handle();
  auto numbers_again = pool.map_async([](int x) { return x; }, numbers(0, 100'000));
  for (int polls = 0; polls < 2000 && !numbers_again.ready(); ++polls) {
    test::work_for(5ms);
    pool.poll();
  }
  ASSERT_TRUE(numbers_again.ready()) << "workers had too little to do each time";
  EXPECT_EQ(numbers_again.get(), numbers(0, 100'000));
}

TEST_F(LoopTest, CanCancel) {
  Pool pool(1);
  Loop loop(pool);
  auto running = pool.apply_async(hang, 1);
  auto waiting = pool.map_async(hang, {1, 2});
  EXPECT_FALSE(loop.turn(0ms) && running.ready());
  running.cancel();
  waiting.cancel();
  EXPECT_TRUE(loop.until([&] { return running.ready() && waiting.ready(); }));
  EXPECT_THROW(running.get(), CancelledError);
}

TEST_F(LoopTest, CallsBackForWhatTerminateHasEnded) {
  Pool pool(1);
  Loop loop(pool);
  bool called = false;
  pool.apply_async(hang, 1).on_error([&](const std::exception_ptr&) { called = true; });
  EXPECT_FALSE(loop.turn(0ms) && called);
  pool.terminate();
  EXPECT_FALSE(called);
  EXPECT_TRUE(loop.until([&] { return called; }));
  loop.settle();
  EXPECT_FALSE(loop.turn(300ms)) << "woken for nothing";
}

TEST_F(LoopTest, LearnsThatThePoolIsBroken) {
  test::in_fork([] {
    Pool pool(1);
    Loop loop(pool);
    const pid_t zygote = test::zygote_of(pool);
    auto result = pool.apply_async(hang, 1);
    ASSERT_TRUE(loop.turn());
    ::kill(zygote, SIGKILL);
    EXPECT_TRUE(loop.until([&] { return result.ready(); }));
    EXPECT_FALSE(result.successful());
    EXPECT_THROW(pool.apply_async(square, 1), BrokenPool);
    loop.settle();
  });
}

TEST_F(LoopTest, MayEndThePoolInACallback) {
  std::optional<Pool> pool(1);
  std::optional<Loop> loop(*pool);
  pool->apply_async(square, 1).on_success([&](int) { pool.reset(); });
  while (pool) ASSERT_TRUE(loop->turn());
}

TEST_F(LoopTest, IsNotNeededForJoin) {
  Pool pool(1);
  static_cast<void>(pool.native_handle());
  bool called = false;
  pool.apply_async(square, 1).on_success([&](int) { called = true; });
  pool.close();
  pool.join();
  EXPECT_TRUE(called);
}

TEST_F(LoopTest, CallsBackAtTheLatestWhenThePoolEnds) {
  bool called = false;
  {
    Pool pool(1);
    static_cast<void>(pool.native_handle());
    pool.apply_async(hang, 1).on_error([&](const std::exception_ptr&) { called = true; });
  }
  EXPECT_TRUE(called);
}

TEST_F(LoopTest, OfAnInlinePoolHasNothingToDo) {
  Pool pool(Options{.workers = 1, .inline_execution = true});
  Loop loop(pool);
  EXPECT_EQ(pool.apply_async(square, 3).get(), 9);
  EXPECT_FALSE(loop.turn(10ms));
  pool.poll();
}

TEST_F(LoopTest, MayPollWithoutAHandle) {
  Pool pool(1);
  auto result = pool.apply_async(square, 3);
  EXPECT_TRUE(test::eventually([&] {
    pool.poll();
    return result.ready();
  }));
}

TEST_F(LoopTest, GetsOnThoughReportsTakeLongerThanTheirInterval) {
  Pool pool(1);
  Loop loop(pool);
  const auto dawdle = [](const Progress&) { std::this_thread::sleep_for(120ms); };
  const auto nap = [](int x) {
    std::this_thread::sleep_for(20ms);
    return x;
  };
  auto first = pool.map_async(nap, numbers(0, 10), CallOptions{.progress = dawdle});
  auto second = pool.map_async(nap, numbers(0, 10), CallOptions{.progress = dawdle});
  EXPECT_TRUE(loop.until([&] { return first.ready() && second.ready(); }));
}

TEST_F(LoopTest, MayPollInACallbackAtTheEndOfThePool) {
  bool called = false;
  {
    Pool pool(1);
    static_cast<void>(pool.native_handle());
    pool.apply_async(hang, 1).on_done([&](const auto&) {
      pool.poll();
      called = true;
    });
  }
  EXPECT_TRUE(called);
}

TEST_F(LoopTest, IsLeftAloneWhileACallbackRunsElsewhere) {
  Pool pool(1);
  test::Tally begun;
  test::Tally gate;
  pool.apply_async(square, 1).on_success([&](int) {
    begun.add();
    EXPECT_TRUE(gate.reaches(1));
  });
  ASSERT_TRUE(begun.reaches(1));  // in the helper
  Loop loop(pool);
  bool called = false;
  auto other = pool.apply_async(square, 2).on_success([&](int) { called = true; });
  EXPECT_TRUE(loop.until([&] { return other.ready(); }));
  const int before = loop.wakes;
  while (loop.turn(300ms) && loop.wakes - before < 100) {
  }
  EXPECT_LT(loop.wakes - before, 100);
  EXPECT_FALSE(called);
  gate.add();
  EXPECT_TRUE(loop.until([&] { return called; }));
}

// The bell that workers ring is theirs to break.
TEST_F(LoopTest, GetsOnThoughATaskHasMadeTheBellBlock) {
  Pool pool(2);
  Loop loop(pool);
  const auto clog = [](int x) {
    for (int fd = 3; fd < 100; ++fd) {
      std::array<char, 64> target{};
      const std::string link = "/proc/self/fd/" + std::to_string(fd);
      if (::readlink(link.c_str(), target.data(), target.size() - 1) < 0) continue;
      if (std::string_view(target.data()).find("eventfd") == std::string_view::npos) continue;
      ::fcntl(fd, F_SETFL, 0);
      const std::uint64_t most = ~std::uint64_t{0} - 1;
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
      static_cast<void>(!::write(fd, &most, sizeof most));
      ::fcntl(fd, F_SETFL, 0);
    }
    return hang(x);
  };
  auto running = pool.apply_async(clog, 1);
  auto waiting = pool.apply_async(square, 2);
  for (int i = 0; i < 20; ++i) static_cast<void>(loop.turn(10ms));
  EXPECT_TRUE(loop.until([&] { return waiting.ready(); }));
  EXPECT_EQ(waiting.get(), 4);
  pool.terminate();
  EXPECT_TRUE(running.ready());
}

}  // namespace
}  // namespace bulkhead
