// SPDX-License-Identifier: MIT
//
// What the caller of map sees when all goes well.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::workers_of;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;
using ::testing::SizeIs;
using MapTest = test::ProcessTest;

constexpr std::size_t kMany = 1000;

struct State {
  test::Tally begun;
  test::Tally gate;
  std::array<std::atomic<std::uint8_t>, kMany> runs;
};
const test::Shared<State> state;

int square(int x) {
  return x * x;
}

std::vector<int> numbers(int count) {
  std::vector<int> xs(static_cast<std::size_t>(count));
  std::iota(xs.begin(), xs.end(), 0);
  return xs;
}

// Row 1: map-basic.
TEST_F(MapTest, GivesTheResultsOfASerialMapInOrder) {
  Pool pool(4);
  for (const int count : {10, 100, 10'000}) {
    const std::vector<int> xs = numbers(count);
    std::vector<int> expected;
    for (const int x : xs) expected.push_back(square(x));
    EXPECT_EQ(pool.map(square, xs), expected);
  }
}

// Row 2: map-empty.
TEST_F(MapTest, AnEmptyRangeGivesNothingAndRunsNothing) {
  state.reset();
  const auto task = [](int x) {
    state->begun.add();
    return x;
  };
  Pool pool(1);
  const std::vector<int> none;
  EXPECT_THAT(pool.map(task, none), IsEmpty());
  EXPECT_THAT(pool.try_map(task, none), IsEmpty());
  EXPECT_THAT(pool.starmap(task, std::vector<std::tuple<int>>()), IsEmpty());
  EXPECT_THAT(pool.map(task, test::numbers(5, 5)), IsEmpty());
  EXPECT_EQ(state->begun.value(), 0U);
  EXPECT_EQ(pool.apply(task, 7), 7);
}

// Row 3: map-single.
TEST_F(MapTest, OneElementLeavesTheOtherWorkersIdleForLater) {
  Pool pool(3);
  EXPECT_THAT(pool.map(square, std::vector{9}), ElementsAre(81));
  const std::vector<int> pids = pool.map([](int) { return ::getpid(); }, test::numbers(0, 50));
  const std::set<int> workers = workers_of(pool);
  EXPECT_THAT(workers, SizeIs(3));
  EXPECT_THAT(std::set<int>(pids.begin(), pids.end()), IsSubsetOf(workers));
}

int multiply(int x, int y) {
  return x * y;
}

// Rows 4 and 5: two ranges travel as one range of tuples.
TEST_F(MapTest, StarmapSpreadsTuplesOverTheArguments) {
  Pool pool(2);
  std::vector<std::tuple<int, int>> pairs;
  for (int i = 0; i < 100; ++i) pairs.emplace_back(i, i + 1);
  const std::vector<int> products = pool.starmap(multiply, pairs);
  ASSERT_THAT(products, SizeIs(100));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(products[static_cast<std::size_t>(i)], i * (i + 1));
  EXPECT_EQ(pool.starmap(multiply, std::vector{std::pair(3, 4)}), std::vector{12});
}

// Row 5: apply.
TEST_F(MapTest, ApplyIsACallElsewhere) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(multiply, 6, 7), 42);
  EXPECT_EQ(pool.apply([](const std::string& a, const std::string& b) { return a + b; }, "bulk",
                       std::string("head")),
            "bulkhead");
  EXPECT_NE(pool.apply(::getpid), ::getpid());
  pool.apply([](int) {}, 1);
}

struct Fixed {
  const long x = 0;
};
struct Explicit {
  explicit Explicit(int n) : x(n) {}
  long x;
};

TEST_F(MapTest, SmallResultsMayLackADefaultOrAnAssignment) {
  Pool pool(2);
  EXPECT_EQ(pool.map([](int x) { return Fixed{x}; }, test::numbers(0, 100))[99].x, 99);
  EXPECT_EQ(pool.map([](int x) { return Explicit(x); }, test::numbers(0, 100))[99].x, 99);
}

// Row 7: nworkers-exact.
TEST_F(MapTest, ThereAreNeverMoreWorkersThanAskedFor) {
  Pool pool(3);
  EXPECT_EQ(pool.workers(), 3);
  const auto count_siblings = [](int) {
    return static_cast<int>(test::workers_under(::getppid()).size());
  };
  EXPECT_THAT(pool.map(count_siblings, test::numbers(0, 45)), Each(3));
  EXPECT_THAT(test::children_of(::getpid()), SizeIs(1)) << "the zygote alone is a child";
}

// Row 8: more-workers-than-cpus.
TEST_F(MapTest, AllWorkersRunAtTheSameTimeHoweverFewCpusThereAre) {
  state.reset();
  static int parties = 0;
  parties = 2 * static_cast<int>(std::thread::hardware_concurrency()) + 2;
  Pool pool(parties);
  const auto meet = [](int) {
    state->begun.add();
    return state->begun.reaches(static_cast<std::uint32_t>(parties));
  };
  EXPECT_THAT(pool.map(meet, test::numbers(0, parties)), Each(true));
}

// Row 9: large-pool.
TEST_F(MapTest, TwoHundredWorkersShareAThousandTasksInSilence) {
  ::testing::internal::CaptureStderr();
  {
    // Under a sanitizer processes are so slow to leave that 200 exceed the time for it.
    Pool pool(test::kSanitized ? 50 : 200);
    const std::vector<int> squares = pool.map(square, test::numbers(0, 1000));
    EXPECT_EQ(std::accumulate(squares.begin(), squares.end(), 0), 332'833'500);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

// Row 10: reuse-pool.
TEST_F(MapTest, OnePoolServesManyCallsWithTheSameWorkers) {
  Pool pool(2);
  const std::set<int> workers = workers_of(pool);
  for (int round = 0; round < 50; ++round) {
    EXPECT_EQ(pool.apply(square, round), round * round);
    EXPECT_THAT(pool.map(square, std::vector{round, 2}), ElementsAre(round * round, 4));
    EXPECT_THAT(pool.starmap(multiply, std::vector{std::tuple(round, 3)}), ElementsAre(3 * round));
  }
  EXPECT_EQ(workers_of(pool), workers);
}

struct Count {
  int pid;
  int calls;
};

Count count_calls(int) {
  static int calls = 0;
  return {::getpid(), ++calls};
}

// Row 11: worker-state.
TEST_F(MapTest, StateStaysInOneWorkerAndEndsWithIt) {
  Pool pool(2);
  std::set<std::pair<int, int>> seen;
  for (const Count& count : pool.map(count_calls, test::numbers(0, 100))) {
    EXPECT_TRUE(seen.emplace(count.pid, count.calls).second) << "two workers share a counter";
  }
  EXPECT_EQ(count_calls(0).calls, 1) << "the caller's own counter is another one";
  for (int crash = 0; crash < 2; ++crash) {
    EXPECT_THROW(pool.apply([] { ::_exit(1); }), CrashError);
  }
  const Count fresh = pool.apply(count_calls, 0);
  for (const auto& [pid, calls] : seen) EXPECT_TRUE(pid != fresh.pid || calls < fresh.calls);
}

// Each element, once: neither lost nor doubled, for any number of workers.
TEST_F(MapTest, EveryElementRunsExactlyOnce) {
  for (const int workers : {1, 2, 5}) {
    state.reset();
    Pool pool(workers);
    pool.map([](std::size_t x) { state->runs[x].fetch_add(1); },
             test::numbers(std::size_t{0}, kMany));
    for (std::size_t x = 0; x < kMany; ++x) EXPECT_EQ(state->runs[x].load(), 1) << x;
  }
}

// Rows 28 and 29: one failed element costs itself, wherever it stands among its neighbours.
TEST_F(MapTest, AmongTinyTasksOnlyTheFailingOnesFail) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x % 1000 == 123) throw std::runtime_error("bad element");
    if (x % 10'000 == 4567) ::_exit(9);
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 50'000));
  ASSERT_THAT(outcomes, SizeIs(50'000));
  for (int x = 0; x < 50'000; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    if (x % 1000 == 123) {
      ASSERT_FALSE(outcome) << x;
      EXPECT_EQ(outcome.failure().kind(), FailureKind::exception);
      EXPECT_EQ(outcome.failure().task(), static_cast<std::uint64_t>(x));
    } else if (x % 10'000 == 4567) {
      ASSERT_FALSE(outcome) << x;
      EXPECT_EQ(outcome.failure().kind(), FailureKind::crashed);
      EXPECT_EQ(outcome.failure().task(), static_cast<std::uint64_t>(x));
    } else {
      ASSERT_TRUE(outcome) << x << ": " << outcome.failure().what();
      EXPECT_EQ(*outcome, x);
    }
  }
}

// The call does its work in the calling thread.
TEST_F(MapTest, ProgressIsReportedUpToTheEndAndNoThreadIsStarted) {
  const int threads = test::Footprint::now().threads;
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<Progress> reports;
  std::set<int> thread_counts;
  const CallOptions options{.progress = [&](const Progress& progress) {
    reports.push_back(progress);
    thread_counts.insert(test::Footprint::now().threads);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  }};
  Pool pool(2);
  const auto outcomes = pool.try_map(
      [](int x) {
        if (x == 77) throw std::runtime_error("one fails");
      },
      test::numbers(0, 200), options);
  EXPECT_THAT(outcomes, SizeIs(200));
  ASSERT_THAT(reports, Not(IsEmpty()));
  EXPECT_EQ(reports.back().done, 200U);
  EXPECT_EQ(reports.back().failed, 1U);
  EXPECT_EQ(reports.back().total, 200U);
  for (std::size_t i = 1; i < reports.size(); ++i) EXPECT_GE(reports[i].done, reports[i - 1].done);
  EXPECT_THAT(thread_counts, ElementsAre(threads));
}

// Progress is reported while the tasks take their time, too.
TEST_F(MapTest, ProgressIsReportedWhileATaskRuns) {
  state.reset();
  int reports = 0;
  std::chrono::nanoseconds elapsed{0};
  const CallOptions options{.progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.total, 1U);
    EXPECT_GT(progress.elapsed, elapsed);
    elapsed = progress.elapsed;
    if (++reports == 3) state->gate.add();
  }};
  Pool pool(1);
  EXPECT_THAT(pool.map([](int) { return state->gate.reaches(1); }, std::vector{1}, options),
              ElementsAre(true));
  EXPECT_GE(reports, 4);
  EXPECT_GE(elapsed, std::chrono::milliseconds{300});  // one is told every 100 ms
}

TEST_F(MapTest, AProgressCallbackThatThrowsGivesUpTheCall) {
  state.reset();
  Pool pool(2);
  const auto task = [](int) {
    state->begun.add();
    if (!state->gate.reaches(1)) throw std::logic_error("nobody opened the gate");
  };
  const CallOptions options{.progress = [](const Progress&) {
    state->gate.add();
    throw std::domain_error("enough");
  }};
  try {
    pool.map(task, test::numbers(0, 100'000'000), options);
    ADD_FAILURE() << "the call ended without the exception";
  } catch (const std::domain_error& error) {
    EXPECT_STREQ(error.what(), "enough");
  }
  EXPECT_LT(state->begun.value(), 1'000'000U);
  EXPECT_EQ(pool.apply(square, 5), 25) << "the pool goes on";
}

// A task that hangs is the main reason to give up.
TEST_F(MapTest, ACallThatIsGivenUpEndsThoughItsTasksHang) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    if (x % 2 == 0) return;
    state->begun.add();
    for (;;) ::pause();
  };
  const CallOptions options{.progress = [](const Progress&) {
    if (state->begun.reaches(2)) throw std::domain_error("enough");
  }};
  EXPECT_THROW((void)pool.try_map(task, test::numbers(0, 100), options), std::domain_error);
  EXPECT_THAT(pool.map(square, test::numbers(0, 100)), SizeIs(100)) << "the pool goes on";
}

// Tasks of other calls are none of its business.
TEST_F(MapTest, ACallThatIsGivenUpLeavesOtherCallsAlone) {
  state.reset();
  Pool pool(2);
  const auto hang = [](int) {
    state->begun.add();
    for (;;) ::pause();
  };
  const auto wait = [](int x) {
    state->begun.add();
    if (!state->gate.reaches(1)) throw std::logic_error("nobody opened the gate");
    return x;
  };
  std::thread other([&] { EXPECT_EQ(pool.apply(wait, 7), 7); });
  EXPECT_TRUE(state->begun.reaches(1));
  const CallOptions options{.progress = [](const Progress&) {
    if (state->begun.reaches(2)) throw std::domain_error("enough");
  }};
  EXPECT_THROW((void)pool.map(hang, test::numbers(0, 100), options), std::domain_error);
  state->gate.add();
  other.join();
}

}  // namespace
}  // namespace bulkhead
