// SPDX-License-Identifier: MIT
//
// One pool, many threads.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::SizeIs;
using ThreadsTest = test::ProcessTest;

struct State {
  test::Tally begun;
  test::Tally gate;
};
const test::Shared<State> state;

int add(int a, int b) {
  return a + b;
}

/// Runs `body(i)` in `count` threads at once.
template <class Body>
void in_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

// Row 175: host-threads.
TEST_F(ThreadsTest, EachCallGetsItsOwnResults) {
  Pool pool(3);
  in_threads(16, [&pool](int thread) {
    for (int round = 0; round < 5; ++round) {
      const int offset = 1000 * thread + 100 * round;
      const std::vector<int> sums = pool.map(partial(add, offset), test::numbers(0, 100));
      std::vector<int> expected(100);
      std::iota(expected.begin(), expected.end(), offset);
      EXPECT_EQ(sums, expected);
      EXPECT_EQ(pool.apply(add, offset, 1), offset + 1);
    }
  });
}

TEST_F(ThreadsTest, FailuresReachTheCallThatTheyBelongTo) {
  Pool pool(2);
  in_threads(8, [&pool](int thread) {
    for (int round = 0; round < 5; ++round) {
      if (thread % 4 == 0) {
        EXPECT_THROW((void)pool.map(test::only_at<9, test::kills_itself>, test::numbers(0, 20)),
                     CrashError);
      } else if (thread % 4 == 1) {
        const auto fail = [](int x) {
          if (x == 9) throw std::out_of_range("nine");
        };
        EXPECT_THROW(pool.map(fail, test::numbers(0, 20)), std::out_of_range);
      } else {
        EXPECT_THAT(pool.map(partial(add, 1), test::numbers(0, 200)), SizeIs(200));
      }
    }
  });
}

// A long call keeps nobody from a short one.
TEST_F(ThreadsTest, AShortCallIsNotHeldUpByALongOne) {
  state.reset();
  Pool pool(2);
  const auto wait = [](int x) {
    state->begun.add();
    return state->gate.reaches(1) ? x : -1;
  };
  std::thread caller([&] { EXPECT_EQ(pool.map(wait, std::vector{5}), std::vector{5}); });
  EXPECT_TRUE(state->begun.reaches(1));
  for (int x = 0; x < 100; ++x) EXPECT_EQ(pool.apply(add, x, x), 2 * x);
  state->gate.add();
  caller.join();
}

TEST_F(ThreadsTest, EachCallHasItsOwnProgress) {
  Pool pool(2);
  in_threads(6, [&pool](int thread) {
    const std::thread::id self = std::this_thread::get_id();
    const auto tasks = static_cast<std::uint64_t>(100 * (thread + 1));
    Progress last;
    const CallOptions options{.progress = [&](const Progress& progress) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      EXPECT_EQ(progress.total, tasks);
      last = progress;
    }};
    EXPECT_THAT(pool.map(partial(add, thread), test::numbers(0, static_cast<int>(tasks)), options),
                SizeIs(tasks));
    EXPECT_EQ(last.done, tasks);
  });
}

// Whatever of it waits behind a task of the other call that has just been answered.
TEST_F(ThreadsTest, ACallThatIsGivenUpEndsThoughAnotherKeepsThePoolBusy) {
  Pool pool(2);
  std::atomic<bool> done{false};
  std::thread other([&] {
    const auto short_task = [](int x) {
      test::work_for(std::chrono::microseconds{20});
      return x;
    };
    (void)pool.map(short_task, test::ZerosUntil{done});
  });
  for (int round = 0; round < 10; ++round) {
    state.reset();
    const auto hang = [](int x) {
      (void)state->gate.reaches(1);
      state->begun.add();
      return x;
    };
    const CallOptions options{.progress = [](const Progress&) { throw std::runtime_error("no"); }};
    EXPECT_THROW((void)pool.map(hang, std::vector{1}, options), std::runtime_error);
    EXPECT_EQ(state->begun.value(), 0U) << "the task went on to its end";
  }
  done = true;
  other.join();
}

TEST_F(ThreadsTest, ALongProgressCallbackHoldsUpNoOtherCall) {
  state.reset();
  Pool pool(2);
  std::atomic<bool> done{false};
  std::thread other(
      [&] { (void)pool.map([](int) { state->begun.add(); }, test::ZerosUntil{done}); });
  ASSERT_TRUE(state->begun.reaches(1));
  for (int round = 0; round < 5; ++round) {
    const CallOptions options{.progress = [](const Progress&) {
      EXPECT_TRUE(state->begun.reaches(state->begun.value() + 100'000));
    }};
    EXPECT_THAT(pool.map(partial(add, 1), test::numbers(0, 100), options), SizeIs(100));
  }
  done = true;
  other.join();
}

TEST_F(ThreadsTest, AProgressCallbackMayCallThePool) {
  Pool pool(2);
  int calls = 0;
  const CallOptions options{.progress = [&](const Progress&) {
    ++calls;
    EXPECT_EQ(pool.apply(add, calls, 1), calls + 1);
  }};
  EXPECT_THAT(pool.map(partial(add, 1), test::numbers(0, 1000), options), SizeIs(1000));
  EXPECT_GE(calls, 1);
}

// Row 139: close-race.
TEST_F(ThreadsTest, CallsAndTheEndOfThePoolMayRace) {
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < 20; ++round) {
    state.reset();
    Pool pool(2);
    in_threads(5, [&pool, round](int thread) {
      state->begun.add();
      if (thread == 4) {
        EXPECT_TRUE(state->begun.reaches(5));
        if (round % 2 == 0) return pool.terminate();
        pool.close();
        return pool.join();
      }
      try {
        for (int call = 0; call < 50; ++call) {
          EXPECT_EQ(pool.apply(add, call, 1), call + 1);
        }
      } catch (const PoolClosed&) {  // as it may
      } catch (const CancelledError&) {
        EXPECT_EQ(round % 2, 0) << "a closed pool cancels nothing";
      }
    });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{25});
}

/// Calls of all kinds, until the pool takes no more. A call ends with its results, or as what has
/// happened to it says.
void call_until_the_end(Pool& pool, int thread) {
  const auto die_now_and_then = [](int x) {
    if (x % 97 == 96) test::kills_itself(x);
    return x;
  };
  try {
    for (int i = 0;; ++i) {
      const int x = 100 * thread + i % 100;
      std::stop_source stop;
      const CallOptions options{.priority = i % 3, .stop = stop.get_token()};
      const auto many = pool.map_async(partial(add, thread), test::numbers(0, 50), options);
      const auto one = i % 2 == 0 ? pool.submit(add, thread, i) : pool.apply_async(add, thread, i);
      const auto dropped = pool.apply_async(options, add, thread, i);
      one.on_done([](const auto& result) { EXPECT_TRUE(result.ready()); });
      if (i % 5 == 0) many.cancel();
      if (i % 7 == 0) dropped.cancel();
      if (i % 11 == 0) stop.request_stop();
      if (i % 13 == 0) pool.resize(1 + i % 4);
      try {
        EXPECT_THAT(many.get(), SizeIs(50));
      } catch (const CancelledError&) {
      }
      EXPECT_EQ(one.get(), thread + i);
      for (const auto& outcome : pool.try_map(die_now_and_then, std::vector{x, x + 1})) {
        EXPECT_TRUE(outcome || outcome.failure().kind() != FailureKind::exception);
      }
      auto stream = pool.imap(partial(add, x), test::numbers(0, 20));
      if (i % 3 != 0) continue;  // all of it is dropped
      EXPECT_EQ(stream.next(), x);
    }
  } catch (const PoolClosed&) {  // as it may
  } catch (const CancelledError&) {
  }
}

TEST_F(ThreadsTest, CallsCancellationsResizesAndTheEndMayRace) {
  for (int round = 0; round < 6; ++round) {
    Pool pool(Options{.workers = 3, .max_in_flight = 32});
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) threads.emplace_back([&pool, i] { call_until_the_end(pool, i); });
    for (int calls = 0; calls < 20 * round; ++calls)
      EXPECT_EQ(pool.apply(add, calls, 1), calls + 1);
    if (round % 2 == 0) {
      pool.terminate();
    } else {
      EXPECT_TRUE(pool.drain(test::kPatience));
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// Row 177: host-concurrent-create.
TEST_F(ThreadsTest, EachThreadMayHaveAPoolOfItsOwn) {
  if (test::kSanitized) GTEST_SKIP() << "the sanitizers fork with their own locks held";
  in_threads(6, [](int thread) {
    for (int round = 0; round < 3; ++round) {
      Pool pool(Options{.workers = 2, .risk_locks_held_by_other_threads = true});
      EXPECT_EQ(pool.apply(add, thread, round), thread + round);
      EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
      EXPECT_EQ(pool.apply(add, thread, round), thread + round);
    }
  });
}

// Functions are made known to a worker behind the tasks of others, and must arrive whole, however
// full its ring is and whatever else is answered meanwhile.
template <int kNumber>
std::string labelled(const std::string& text) {
  return text + std::to_string(kNumber);
}

template <int... kNumbers>
void call_all(Pool& pool, const std::vector<std::string>& texts,
              std::integer_sequence<int, kNumbers...>) {
  const auto call = [&](auto function, int number) {
    for (const auto& outcome : pool.try_map(function, texts)) {
      ASSERT_TRUE(outcome) << outcome.failure().what();
      ASSERT_EQ(outcome->size(), texts.front().size() + std::to_string(number).size());
    }
  };
  (call(&labelled<kNumbers>, kNumbers), ...);
}

TEST_F(ThreadsTest, FunctionsArriveWholeBesideTasksThatFillTheRings) {
  const std::vector<std::string> texts(40, std::string(3000, 't'));
  for (int round = 0; round < 10; ++round) {
    Pool pool(Options{.workers = 2, .ring_bytes = 4096});
    in_threads(3, [&](int) { call_all(pool, texts, std::make_integer_sequence<int, 20>()); });
  }
}

TEST_F(ThreadsTest, ManyEmptyCallsDoNotHoldUpALongOne) {
  Pool pool(2);
  std::atomic<bool> done{false};
  std::thread worker([&] {
    const auto results = pool.map([](int x) { return x; }, test::numbers(0, 100'000));
    done = true;
    EXPECT_THAT(results, SizeIs(100'000));
  });
  in_threads(8, [&](int) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!done && std::chrono::steady_clock::now() < end) {
      (void)pool.map([](int x) { return x; }, std::vector<int>{});
    }
    EXPECT_TRUE(done);
  });
  worker.join();
}

}  // namespace
}  // namespace bulkhead
