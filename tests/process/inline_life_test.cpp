// SPDX-License-Identifier: MIT
//
// Pools without processes: attempts, time and stops, the life of the pool, and who may use it.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::text_of;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct State {
  test::Tally begun;
  test::Tally ended;
  test::Tally gate;
};
const test::Shared<State> state;

class InlineLifeTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

Options inline_options() {
  Options options;
  options.inline_execution = true;
  return options;
}

int twice(int x) {
  return 2 * x;
}

// ---------------------------------------------------------------------------------------------------
// Attempts and time

TEST_F(InlineLifeTest, APauseHoldsUpNoOtherTask) {
  Pool pool(inline_options());
  const auto count_others = [](int x) {
    if (x == 0 && this_task::attempt() < 3) throw std::out_of_range("not yet");
    state->begun.add();
    return static_cast<int>(state->begun.value());
  };
  const auto start = std::chrono::steady_clock::now();
  const CallOptions options{.retries = {.exceptions = 2, .pause = 50ms}};
  EXPECT_EQ(pool.map(count_others, test::numbers(0, 10), options).front(), 10);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 150ms) << "once, and twice as long";
}

TEST_F(InlineLifeTest, ATimeoutEndsNothingThatDoesNotAsk) {
  Pool pool(inline_options());
  const auto overrun = [](int x) {
    while (std::chrono::steady_clock::now() < this_task::deadline().value()) {
    }
    return x;
  };
  EXPECT_EQ(pool.map(overrun, {1, 2}, CallOptions{.timeout = 1ms}), (std::vector{1, 2}));
  EXPECT_FALSE(pool.apply([] { return this_task::deadline().has_value(); }));
  EXPECT_EQ(this_task::deadline(), std::nullopt);
}

int runs_until_it_is_told(int x) {
  state->begun.add();
  while (!this_task::stop_requested()) {
  }
  return x;
}

TEST_F(InlineLifeTest, ATaskThatIsToldThatItsTimeIsUpFails) {
  Pool pool(inline_options());
  const CallOptions options{.timeout = 5ms, .retries = {.timeouts = 1}};
  const auto outcomes = pool.try_map(runs_until_it_is_told, {1, 2}, options);
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().kind(), FailureKind::timed_out);
    EXPECT_EQ(outcome.failure().attempt(), 2);
    EXPECT_THAT(outcome.failure().what(), HasSubstr("it ran for longer than 5 ms; it was told"));
  }
  EXPECT_THROW((void)pool.map(runs_until_it_is_told, {1}, options), TimeoutError);
}

TEST_F(InlineLifeTest, AStopEndsTheCallBetweenTwoTasks) {
  Pool pool(inline_options());
  static std::stop_source source;
  source = {};
  const auto stop_at_three = [](int x) {
    state->begun.add();
    if (x == 3) source.request_stop();
    return x;
  };
  const CallOptions options{.stop = source.get_token()};
  const auto outcomes = pool.try_map(stop_at_three, test::numbers(0, 10), options);
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) {
    const auto& outcome = outcomes[static_cast<std::size_t>(x)];
    ASSERT_EQ(outcome.has_value(), x <= 3) << x;
    if (!outcome) {
      EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
    }
  }
  EXPECT_THROW((void)pool.map(stop_at_three, {1}, options), CancelledError);
  EXPECT_EQ(state->begun.value(), 4U);
}

TEST_F(InlineLifeTest, AStopReachesATaskThatAsks) {
  Pool pool(inline_options());
  std::stop_source source;
  std::jthread stopper([&source] {
    EXPECT_TRUE(state->begun.reaches(1));
    source.request_stop();
  });
  const auto outcomes =
      pool.try_map(runs_until_it_is_told, {1, 2}, CallOptions{.stop = source.get_token()});
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
  }
  EXPECT_EQ(state->begun.value(), 1U);
  EXPECT_FALSE(this_task::stop_requested());
}

TEST_F(InlineLifeTest, AStopEndsAPauseBeforeItsTime) {
  Pool pool(inline_options());
  std::stop_source source;
  std::jthread stopper([&source] {
    EXPECT_TRUE(state->begun.reaches(1));
    source.request_stop();
  });
  const auto fail = [](int) {
    state->begun.add();
    throw std::out_of_range("no");
  };
  const CallOptions options{.stop = source.get_token(), .retries = {.exceptions = 1, .pause = 1h}};
  EXPECT_FALSE(pool.try_map(fail, {1}, options).at(0));
}

// ---------------------------------------------------------------------------------------------------
// Life of the pool

TEST_F(InlineLifeTest, InitializerAndFinalizerRunOnceHere) {
  Options options = inline_options();
  options.initializer = [] { state->begun.add(); };
  options.finalizer = [] { state->ended.add(); };
  Pool pool(options);
  EXPECT_EQ(state->begun.value(), 0U);
  EXPECT_THAT(pool.map([](int) { return static_cast<int>(state->begun.value()); }, {1, 2}),
              Each(1));
  (void)pool.map(twice, {1, 2});
  EXPECT_EQ(state->begun.value(), 1U);
  pool.close();
  EXPECT_EQ(state->ended.value(), 0U);
  pool.join();
  pool.join();
  EXPECT_EQ(state->ended.value(), 1U);
}

TEST_F(InlineLifeTest, NoFinalizerRunsAfterTerminate) {
  Options options = inline_options();
  options.finalizer = [] { state->ended.add(); };
  Pool pool(options);
  EXPECT_EQ(pool.apply(twice, 1), 2);
  pool.close();
  pool.terminate();
  pool.join();
  EXPECT_EQ(state->ended.value(), 0U);
}

TEST_F(InlineLifeTest, AnInitializerThatThrowsBreaksThePoolInTheSameWords) {
  Options options{.workers = 1, .initializer = [] { throw std::domain_error("no database"); }};
  Pool workers(options);
  options.inline_execution = true;
  Pool inlined(options);
  const auto complaint = [](Pool& pool) {
    return text_of<BrokenPool>([&] { (void)pool.map(twice, {1}); });
  };
  EXPECT_EQ(complaint(inlined), complaint(workers));
  EXPECT_EQ(complaint(inlined), complaint(workers)) << "the second time";
  EXPECT_THROW((void)Pool(options).try_map(twice, {1}), BrokenPool);
}

TEST_F(InlineLifeTest, WhatAFinalizerThrowsGoesToTheLogger) {
  std::ostringstream text;
  Options options = inline_options();
  options.finalizer = [] { throw std::domain_error("no farewell"); };
  options.logger = std::make_shared<spdlog::logger>(
      "pool", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
  Pool pool(options);
  (void)pool.apply(twice, 1);
  pool.close();
  EXPECT_NO_THROW(pool.join());
  EXPECT_THAT(text.str(), HasSubstr("a finalizer threw std::domain_error: no farewell"));
}

TEST_F(InlineLifeTest, AClosedOrTerminatedPoolRefusesCallsInTheSameWords) {
  const auto complaints = [](Pool&& closed, Pool&& terminated) {
    std::string all = text_of<Error>([&] { closed.join(); });
    closed.close();
    all += text_of<PoolClosed>([&] { (void)closed.map(twice, {1}); });
    closed.join();
    terminated.terminate();
    all += text_of<PoolClosed>([&] { (void)terminated.apply(twice, 1); });
    terminated.join();
    return all;
  };
  EXPECT_EQ(complaints(Pool(inline_options()), Pool(inline_options())),
            complaints(Pool(1), Pool(1)));
}

TEST_F(InlineLifeTest, CanBeTerminatedAndJoinedWhileATaskRuns) {
  Pool pool(inline_options());
  std::thread other([&pool] {
    const auto outcomes = pool.try_map(runs_until_it_is_told, {1, 2, 3});
    for (const auto& outcome : outcomes) {
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
    }
  });
  EXPECT_TRUE(state->begun.reaches(1));
  pool.terminate();
  pool.join();
  EXPECT_EQ(state->begun.value(), 1U);
  other.join();
}

TEST_F(InlineLifeTest, JoinWaitsForCallsThatRun) {
  Pool pool(inline_options());
  std::thread other([&pool] {
    (void)pool.map(
        [](int) {
          state->begun.add();
          EXPECT_TRUE(state->gate.reaches(1));
          state->ended.add();
        },
        {1, 2, 3});
  });
  EXPECT_TRUE(state->begun.reaches(1));
  pool.close();
  state->gate.add();
  pool.join();
  EXPECT_EQ(state->ended.value(), 3U);
  other.join();
}

Pool* present_pool = nullptr;

TEST_F(InlineLifeTest, ATaskCannotUseAPoolFromOutsideButOneOfItsOwn) {
  Pool outer(inline_options());
  present_pool = &outer;
  const auto use = [](int x) { return present_pool->apply(twice, x); };
  EXPECT_THAT(text_of<std::runtime_error>([&] { (void)outer.map(use, {1}); }),
              HasSubstr("bulkhead::PoolClosed: bulkhead: a task cannot use the pool"));
  const auto end = [](int) { present_pool->terminate(); };
  EXPECT_THROW(outer.map(end, {1}), RemoteError);
  const auto nested = [](int x) {
    return Pool(1).apply(twice, x) + Pool(inline_options()).apply(twice, x);
  };
  EXPECT_EQ(outer.map(nested, {1, 2}), (std::vector{4, 8}));
  EXPECT_EQ(Pool(1).map(nested, {1, 2}), (std::vector{4, 8})) << "inline in a worker";
}

TEST_F(InlineLifeTest, ARangeCannotUseThePoolOfItsCall) {
  Pool pool(inline_options());
  struct Asking {
    struct iterator {
      using difference_type = std::ptrdiff_t;
      using value_type = int;
      int operator*() const { return pool->apply(twice, 1); }
      iterator& operator++() { return *this; }
      void operator++(int) {}
      bool operator==(std::default_sentinel_t) const { return false; }
      Pool* pool;
    };
    [[nodiscard]] iterator begin() const { return {&pool}; }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }
    Pool& pool;
  };
  EXPECT_THAT(text_of<Error>([&] { (void)pool.map(twice, Asking{pool}); }),
              HasSubstr("the pool was used by the range"));
  EXPECT_EQ(pool.apply(twice, 2), 4);
}

TEST_F(InlineLifeTest, AForkOfTheProcessCannotUseIt) {
  Pool pool(inline_options());
  test::in_fork([&pool] {
    EXPECT_THAT(text_of<PoolClosed>([&] { (void)pool.map(twice, {1}); }),
                HasSubstr("belongs to process"));
  });
  EXPECT_EQ(pool.apply(twice, 2), 4);
}

// ---------------------------------------------------------------------------------------------------
// Progress, threads, and the choice

TEST_F(InlineLifeTest, ProgressIsReportedAndMayUseThePool) {
  Pool pool(inline_options());
  Progress last;
  int calls = 0;
  const CallOptions options{.progress = [&](const Progress& progress) {
    last = progress;
    ++calls;
    EXPECT_EQ(pool.apply(twice, calls), 2 * calls);
  }};
  const auto fail_at_five = [](int x) {
    if (x == 5) throw std::out_of_range("five");
    return x;
  };
  (void)pool.try_map(fail_at_five, test::numbers(0, 10), options);
  EXPECT_EQ(last.done, 10U);
  EXPECT_EQ(last.failed, 1U);
  EXPECT_EQ(last.total, 10U);
  EXPECT_GE(calls, 1);
}

TEST_F(InlineLifeTest, AProgressCallbackThatThrowsEndsTheCall) {
  Pool pool(inline_options());
  const CallOptions options{.progress = [](const Progress&) { throw std::range_error("enough"); }};
  EXPECT_THROW((void)pool.map(twice, {1, 2}, options), std::range_error);
  EXPECT_EQ(pool.apply(twice, 2), 4);
}

int alone(int x) {
  static std::atomic<int> here{0};
  EXPECT_EQ(here.fetch_add(1), 0) << "another task runs at the same time";
  std::this_thread::yield();
  here.fetch_sub(1);
  return 2 * x;
}

TEST_F(InlineLifeTest, CallsOfSeveralThreadsTakeTurns) {
  Pool pool(inline_options());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&pool, thread] {
      const auto elements = test::numbers(100 * thread, 100 * thread + 200);
      const auto results = pool.map(alone, elements);
      for (std::size_t i = 0; i < elements.size(); ++i) EXPECT_EQ(results.at(i), 2 * elements[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

bool runs_here(Options options) {
  return Pool(std::move(options)).apply([] { return static_cast<int>(::getpid()); }) == ::getpid();
}

TEST_F(InlineLifeTest, TheEnvironmentDecidesAgainstTheOptions) {
  EXPECT_FALSE(runs_here({.workers = 1}));
  test::in_fork([] {
    ::setenv("BULKHEAD_INLINE", "1", 1);
    EXPECT_TRUE(runs_here({.workers = 1}));
    EXPECT_EQ(fork_map([](int) { return static_cast<int>(::getpid()); }, std::vector{1}).at(0),
              ::getpid());
    ::setenv("BULKHEAD_INLINE", "0", 1);
    EXPECT_FALSE(runs_here({.workers = 1, .inline_execution = true}));
    ::setenv("BULKHEAD_INLINE", "", 1);
    EXPECT_TRUE(runs_here({.workers = 1, .inline_execution = true}));
    ::setenv("BULKHEAD_INLINE", "please", 1);
    EXPECT_THAT(text_of<InvalidArgument>([] { Pool(1); }), HasSubstr("\"please\""));
  });
}

TEST_F(InlineLifeTest, ImpossibleOptionsAreRefusedAsEver) {
  EXPECT_THROW(Pool(Options{.workers = 0, .inline_execution = true}), InvalidArgument);
  Pool pool(inline_options());
  EXPECT_THROW((void)pool.map(twice, {1}, CallOptions{.timeout = 0s}), InvalidArgument);
}

}  // namespace
}  // namespace bulkhead
