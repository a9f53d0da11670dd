// SPDX-License-Identifier: MIT
//
// Initializers and finalizers, and workers that cannot start.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using InitializerTest = test::ProcessTest;
using FinalizerTest = test::ProcessTest;

struct State {
  test::Tally starts;
  test::Tally ends;
  test::Tally gate;
};
const test::Shared<State> state;

std::string greeting;

int same(int x) {
  return x;
}

/// A logger that writes into `text`.
std::shared_ptr<spdlog::logger> logger_into(std::ostringstream& text) {
  return std::make_shared<spdlog::logger>("pool",
                                          std::make_shared<spdlog::sinks::ostream_sink_st>(text));
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t hits = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++hits;
  return hits;
}

// Row 119: init-runs.
TEST_F(InitializerTest, RunsOncePerWorkerBeforeItsFirstTask) {
  state.reset();
  const auto greet = [](const std::string& name) {
    greeting = "hello, " + name;
    state->starts.add();
  };
  Pool pool(Options{.workers = 3, .initializer = partial(greet, "captured")});
  EXPECT_THAT(pool.map([](int) { return greeting; }, test::numbers(0, 100)),
              Each("hello, captured"));
  EXPECT_TRUE(state->starts.reaches(3));
  EXPECT_EQ(greeting, "") << "it has run in the caller's process";
  EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  EXPECT_THAT(pool.map([](int) { return greeting; }, test::numbers(0, 100)),
              Each("hello, captured"));
  EXPECT_TRUE(state->starts.reaches(4)) << "the successor was not initialized";
}

struct Start {
  const char* name;
  Hook initializer;
  const char* text;
};

class BadStartTest : public test::ProcessTest, public ::testing::WithParamInterface<Start> {};

const Start kBadStarts[] = {
    {"Throws", [] { throw std::runtime_error("no licence"); }, "std::runtime_error: no licence"},
    {"ThrowsAnInt", [] { throw 42; }, "int"},
    {"IsKilled", [] { test::kills_itself(0); }, "SIGKILL"},
    {"Segfaults", [] { test::segfaults(0); }, "SIGSEGV"},
    {"LeavesQuietly", [] { test::leaves_quietly(0); }, "code 0"},
};

INSTANTIATE_TEST_SUITE_P(Starts, BadStartTest, ::testing::ValuesIn(kBadStarts),
                         [](const auto& start) { return std::string(start.param.name); });

// Rows 120, 121 and 125: init-throws, init-dies, restart-intensity.
TEST_P(BadStartTest, BreaksThePoolWithTheCauseAndWithoutAStormOfForks) {
  state.reset();
  std::ostringstream text;
  const auto initializer = GetParam().initializer;
  Pool pool(Options{.workers = 2,
                    .initializer =
                        [initializer] {
                          state->starts.add();
                          initializer();
                        },
                    .logger = logger_into(text)});
  const auto start = std::chrono::steady_clock::now();
  for (int attempt = 0; attempt < 3; ++attempt) {
    try {
      (void)pool.map(same, test::numbers(0, 10));
      ADD_FAILURE() << "there cannot be a worker";
    } catch (const BrokenPool& error) {
      EXPECT_THAT(error.what(), HasSubstr(GetParam().text));
      EXPECT_THAT(error.what(), HasSubstr("broken"));
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{10});
  EXPECT_LE(state->starts.value(), 2U * 2 + 2) << "too many workers were started";
  EXPECT_EQ(count(text.str(), "the pool is broken"), 1U) << text.str();
  pool.terminate();
  EXPECT_THROW((void)pool.apply(same, 1), Error);
}

// Row 124: init-no-res-leak. The broken pool is still there.
TEST_P(BadStartTest, LeavesAPoolThatHoldsNoProcessAndNoMemory) {
  const test::Footprint before = test::Footprint::now();
  Pool pool(Options{.workers = 2, .initializer = GetParam().initializer});
  EXPECT_THROW((void)pool.map(same, test::numbers(0, 10)), BrokenPool);
  const test::Footprint after = test::Footprint::now();
  EXPECT_EQ(after.children, before.children);
  EXPECT_EQ(after.shared_mappings, before.shared_mappings);
  EXPECT_EQ(after.shared_names, before.shared_names);
}

// Row 123: init-throws-destroy.
TEST_P(BadStartTest, DoesNotHoldUpTheEndOfThePool) {
  for (int round = 0; round < 10; ++round) {
    const Pool pool(Options{.workers = 2, .initializer = GetParam().initializer});
  }
  Pool pool(Options{.workers = 2, .initializer = GetParam().initializer});
  pool.close();
  pool.join();
}

TEST_P(BadStartTest, IsAnErrorOfTryMapToo) {
  Pool pool(Options{.workers = 1, .initializer = GetParam().initializer});
  EXPECT_THROW((void)pool.try_map(same, test::numbers(0, 10)), BrokenPool);
}

// Row 122: init-throws-late.
TEST_F(InitializerTest, ThatFailsForSuccessorsLeavesThePoolToTheOthers) {
  state.reset();
  Pool pool(Options{.workers = 3, .initializer = [] {
                      state->starts.add();
                      if (state->starts.value() > 3) throw std::runtime_error("too late");
                    }});
  EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  ASSERT_TRUE(state->starts.reaches(3));
  for (int death = 0; death < 2; ++death) {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  }
  EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  EXPECT_THROW((void)pool.map(same, test::numbers(0, 100)), BrokenPool);
  EXPECT_LE(state->starts.value(), 3U + 3U * 2 + 3);
}

// Row 125: restart-intensity. Only deaths at start in a row are taken for a fault that stays.
TEST_F(InitializerTest, ThatFailsNowAndThenNeverBreaksThePool) {
  state.reset();
  Pool pool(Options{.workers = 1, .initializer = [] {
                      state->starts.add();
                      if (state->starts.value() % 2 == 0) throw std::runtime_error("try again");
                    }});
  constexpr std::uint32_t kDeaths = 20;
  for (std::uint32_t death = 0; death < kDeaths; ++death) {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_THAT(pool.map(same, test::numbers(0, 10)), SizeIs(10));
  }
  EXPECT_EQ(state->starts.value(), 1 + 2 * kDeaths);
}

// The pool breaks while a call has results already: they are kept.
TEST_F(InitializerTest, APoolThatBreaksInTheMiddleOfACallKeepsWhatWasDone) {
  state.reset();
  Pool pool(Options{.workers = 1, .initializer = [] {
                      state->starts.add();
                      if (state->starts.value() > 1) throw std::runtime_error("too late");
                    }});
  const auto outcomes = pool.try_map(test::only_at<5, test::kills_itself>, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 5; ++x) EXPECT_EQ(*outcomes[static_cast<std::size_t>(x)], x);
  EXPECT_EQ(outcomes[5].failure().kind(), FailureKind::crashed);
  for (std::size_t i = 6; i < 10; ++i) {
    ASSERT_FALSE(outcomes[i]);
    EXPECT_EQ(outcomes[i].failure().kind(), FailureKind::not_run);
    EXPECT_EQ(outcomes[i].failure().task(), i);
    EXPECT_THAT(outcomes[i].failure().what(), HasSubstr("too late"));
  }
  EXPECT_THROW((void)pool.apply(same, 1), BrokenPool);
}

// Nothing but the crash is missing when it ends, though it ends only after all else.
TEST_F(InitializerTest, ThatTakesLongInASuccessorHoldsUpNoTask) {
  constexpr std::uint64_t kTasks = 400;
  state.reset();
  const auto start = [] {
    state->starts.add();
    if (state->starts.value() <= 2) return;
    if (state->gate.reaches(kTasks - 1)) state->ends.add();
  };
  Pool pool(Options{.workers = 2, .initializer = start});
  ASSERT_TRUE(state->starts.reaches(2));
  const auto task = [](int x) {
    if (x == 20) test::kills_itself(x);
    state->gate.add();
    test::work_for(std::chrono::microseconds{500});
    return x;
  };
  (void)pool.map(same, test::numbers(0, 400));
  const auto outcomes = pool.try_map(task, test::numbers(0, static_cast<int>(kTasks)));
  EXPECT_EQ(std::count_if(outcomes.begin(), outcomes.end(), [](auto& x) { return bool(x); }),
            kTasks - 1);
  pool.close();
  pool.join();
  EXPECT_EQ(state->ends.value(), 1U);
}

TEST_F(InitializerTest, ThatHangsDoesNotHoldUpTheEndOfThePool) {
  state.reset();
  const auto start = std::chrono::steady_clock::now();
  {
    const Pool pool(Options{.workers = 2, .initializer = [] {
                              state->starts.add();
                              (void)state->gate.reaches(1, std::chrono::seconds{60});
                            }});
    EXPECT_TRUE(state->starts.reaches(2));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{20});
}

// ---------------------------------------------------------------------------------------------

TEST_F(FinalizerTest, RunsInEachWorkerThatLeavesInOrder) {
  state.reset();
  Pool pool(Options{.workers = 3, .finalizer = [] { state->ends.add(); }});
  EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  pool.close();
  EXPECT_EQ(state->ends.value(), 0U);
  pool.join();
  EXPECT_EQ(state->ends.value(), 3U);
}

TEST_F(FinalizerTest, DoesNotRunAfterTerminate) {
  state.reset();
  Pool pool(Options{.workers = 3, .finalizer = [] { state->ends.add(); }});
  EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  pool.terminate();
  pool.join();
  EXPECT_EQ(state->ends.value(), 0U);
}

// Row 77: die-exit-hook.
TEST_F(FinalizerTest, ThatThrowsIsLoggedAndHoldsUpNothing) {
  std::ostringstream text;
  Pool pool(Options{.workers = 2,
                    .finalizer = [] { throw std::range_error("will not go"); },
                    .logger = logger_into(text)});
  EXPECT_EQ(pool.apply(same, 1), 1);
  pool.close();
  pool.join();
  EXPECT_EQ(count(text.str(), "std::range_error: will not go"), 2U) << text.str();
}

// Row 77: die-exit-hook.
TEST_F(FinalizerTest, ThatCrashesHoldsUpNothing) {
  static constexpr std::array kVictims{test::kills_itself, test::segfaults,
                                       test::leaves_with_code_one, test::exits_with_code_42};
  const auto end_with = [](std::size_t victim) {
    state->ends.add();
    kVictims.at(victim)(0);
  };
  for (std::size_t victim = 0; victim < kVictims.size(); ++victim) {
    state.reset();
    Pool pool(Options{.workers = 2, .finalizer = partial(end_with, victim)});
    EXPECT_EQ(pool.apply(same, 1), 1);
    pool.close();
    pool.join();
    EXPECT_EQ(state->ends.value(), 2U) << "workers were started again, or not asked";
  }
}

// Row 58.
TEST_F(InitializerTest, ThatHangsBreaksThePoolIfItHasATimeLimit) {
  Pool pool(Options{.workers = 2,
                    .initializer = [] { ::pause(); },
                    .initializer_timeout = std::chrono::milliseconds{50}});
  try {
    (void)pool.apply([] { return 1; });
    ADD_FAILURE() << "the call returned";
  } catch (const BrokenPool& error) {
    EXPECT_THAT(
        error.what(),
        ::testing::HasSubstr(
            "in the initializer: it was not ready within Options::initializer_timeout, 50 ms"));
  }
}

TEST_F(InitializerTest, ThatIsInTimeIsLeftAlone) {
  Pool pool(
      Options{.workers = 1, .initializer = [] {}, .initializer_timeout = std::chrono::seconds{20}});
  EXPECT_EQ(pool.apply([] { return 1; }), 1);
}

// It is the host that has not looked.
TEST_F(InitializerTest, AWorkerThatWasReadyInTimeIsNotKilledThoughNobodyHasLooked) {
  Pool pool(Options{.workers = 2, .initializer_timeout = std::chrono::seconds{2}});
  std::this_thread::sleep_for(std::chrono::milliseconds{2500});
  const auto nap = [](int x) {
    test::work_for(std::chrono::milliseconds{1});
    return x;
  };
  EXPECT_EQ(pool.map(nap, test::numbers(0, 50)), test::numbers(0, 50));
}

}  // namespace
}  // namespace bulkhead
