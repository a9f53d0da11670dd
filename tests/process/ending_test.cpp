// SPDX-License-Identifier: MIT
//
// Pools that end while something goes on in them: calls, crashes, restarts, finalizers, stops.
#include "tests/support/footprint.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Clock = std::chrono::steady_clock;
using EndingTest = test::ProcessTest;

/// All that ends at once ends within this time; the library's own bound is two seconds, six if CPUs
/// are short.
constexpr std::chrono::seconds kBound{10};

struct State : test::Gated {
  test::Tally starts;  ///< initializers that have begun
  test::Tally waits;   ///< of a call, for tenths of seconds
  test::Tally ends;    ///< finalizers that have begun, or are through
  std::atomic<int> finalizers{0};
};
const test::Shared<State> state;

int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

/// No test waits for it to the end.
int hang(int x) {
  state->begun.add();
  for (;;) ::pause();
  return x;
}

std::uint64_t count_cancelled(const std::vector<Outcome<int>>& outcomes) {
  return static_cast<std::uint64_t>(
      std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome<int>& outcome) {
        return !outcome && outcome.failure().kind() == FailureKind::cancelled;
      }));
}

// ---------------------------------------------------------------------------------------------
// Crashes.

// Row 79: die-pool-dropped. The call is under way when the pool is closed.
TEST_F(EndingTest, ACrashAfterClosingCostsItsTaskOnly) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    (void)wait_for_gate(x);
    return x % 7 == 0 ? test::kills_itself(x) : x;
  };
  std::vector<Outcome<int>> outcomes;
  std::thread caller([&] { outcomes = pool.try_map(task, test::numbers(0, 20)); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.close();
  state->gate.add();
  pool.join();
  caller.join();
  ASSERT_THAT(outcomes, SizeIs(20));
  for (int x = 0; x < 20; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    ASSERT_EQ(outcome.has_value(), x % 7 != 0) << x;
    if (outcome) continue;
    EXPECT_EQ(outcome.failure().kind(), FailureKind::crashed);
  }
}

// Row 149: shutdown-no-respawn.
TEST_F(EndingTest, AWorkerThatDiesWhileThePoolEndsIsNotReplaced) {
  state.reset();
  const auto finalizer = [] {
    state->ends.add();
    (void)state->gate.reaches(1);
  };
  Pool pool(
      Options{.workers = 2, .initializer = [] { state->starts.add(); }, .finalizer = finalizer});
  const pid_t zygote = test::zygote_of(pool);
  const std::set<int> before = test::workers_under(zygote);
  const int victim = *before.begin();
  ASSERT_TRUE(state->starts.reaches(2));
  pool.close();
  std::thread joiner([&pool] { pool.join(); });
  EXPECT_TRUE(state->ends.reaches(2));
  test::kill_child_of(zygote, victim);
  EXPECT_TRUE(test::eventually([&] { return !test::children_of(zygote).contains(victim); }));
  for (const int pid : test::workers_under(zygote)) {
    EXPECT_TRUE(before.contains(pid)) << pid << " is new";
  }
  state->gate.add();
  joiner.join();
  EXPECT_EQ(state->starts.value(), 2U);
  EXPECT_EQ(state->ends.value(), 2U);
}

// ---------------------------------------------------------------------------------------------
// Restarts that fail again and again.

// Row 126: restart-stuck-shutdown. At one moment of the restarting after the other.
TEST_F(EndingTest, APoolWhoseWorkersKeepFailingToStartIsTerminatedAtOnce) {
  const auto fail = [] {
    state->starts.add();
    throw std::runtime_error("no licence");
  };
  for (std::uint32_t starts = 0; starts <= 12; ++starts) {
    state.reset();
    Pool pool(Options{.workers = 6, .initializer = fail});
    std::thread caller([&pool] {
      try {
        (void)pool.map(wait_for_gate, test::numbers(0, 100));
        ADD_FAILURE() << "there cannot be a worker";
      } catch (const CancelledError&) {
      } catch (const PoolClosed&) {
      } catch (const BrokenPool&) {
      }
    });
    EXPECT_TRUE(state->starts.reaches(starts));
    const auto begin = Clock::now();
    pool.terminate();
    EXPECT_LT(Clock::now() - begin, kBound);
    caller.join();
  }
}

// Row 58: timeout-init. Without a time limit for initializers, whoever waits can give up.
TEST_F(EndingTest, ACallThatWaitsForAHangingInitializerCanBeStoppedOrTerminated) {
  const auto hang_at_start = [] {
    state->starts.add();
    (void)state->gate.reaches(1, std::chrono::seconds{60});
  };
  for (const bool stops : {true, false}) {
    state.reset();
    Pool pool(Options{.workers = 2, .initializer = hang_at_start});
    std::stop_source source;
    std::vector<Outcome<int>> outcomes;
    std::thread caller([&] {
      const CallOptions options{.progress = [](const Progress&) { state->waits.add(); },
                                .stop = source.get_token()};
      outcomes = pool.try_map(wait_for_gate, test::numbers(0, 10), options);
    });
    EXPECT_TRUE(state->starts.reaches(2));
    EXPECT_TRUE(state->waits.reaches(1));
    const auto begin = Clock::now();
    if (stops) {
      source.request_stop();
    } else {
      pool.terminate();
    }
    caller.join();
    pool.terminate();
    EXPECT_LT(Clock::now() - begin, kBound);
    EXPECT_EQ(count_cancelled(outcomes), 10U);
    EXPECT_EQ(state->begun.value(), 0U);
  }
}

// ---------------------------------------------------------------------------------------------
// Calls.

// Row 139: close-race. From before the call begins to its midst, its values larger than a ring.
TEST_F(EndingTest, ClosingBesideTheBeginOfACallRefusesItOrLetsItRun) {
  const std::vector<std::string> large(8, std::string(20'000, 'x'));
  for (int round = 0; round < 60; ++round) {
    Pool pool(Options{.workers = 2, .ring_bytes = 4096});
    std::atomic<bool> is_there = false;
    std::thread caller([&] {
      is_there = true;
      is_there.notify_one();
      try {
        const auto echo = [](const std::string& text) { return text; };
        EXPECT_EQ(pool.map(echo, large), large);
      } catch (const PoolClosed&) {  // as it may
      }
    });
    is_there.wait(false);
    test::work_for(std::chrono::microseconds{5 * round});
    pool.close();
    pool.join();
    caller.join();
  }
}

// Row 64: cancel-then-shutdown.
TEST_F(EndingTest, ACallThatIsStoppedAsItBeginsHoldsUpNoEnd) {
  const auto begin = Clock::now();
  for (std::uint32_t round = 0; round < 20; ++round) {
    state.reset();
    Pool pool(2);
    std::stop_source source;
    std::thread caller([&] {
      try {
        const CallOptions options{.stop = source.get_token()};
        EXPECT_EQ(count_cancelled(pool.try_map(hang, test::numbers(0, 10), options)), 10U);
      } catch (const PoolClosed&) {  // as it may
      }
    });
    EXPECT_TRUE(state->begun.reaches(round % 2));
    source.request_stop();
    pool.close();
    pool.join();
    caller.join();
  }
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds{25});
}

// Row 65: shutdown-cancel.
TEST_F(EndingTest, StoppingAndClosingKeepsWhatIsDoneAndCancelsTheRest) {
  state.reset();
  Pool pool(Options{.workers = 2, .finalizer = [] { state->ends.add(); }});
  std::stop_source source;
  std::vector<Outcome<int>> outcomes;
  std::thread caller([&] {
    const auto task = [](int x) { return x < 10 ? x : hang(x); };
    outcomes = pool.try_map(task, test::numbers(0, 50), CallOptions{.stop = source.get_token()});
  });
  EXPECT_TRUE(state->begun.reaches(2));
  source.request_stop();
  pool.close();
  pool.join();
  caller.join();
  ASSERT_THAT(outcomes, SizeIs(50));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x);
  EXPECT_EQ(count_cancelled(outcomes), 40U);
  EXPECT_EQ(state->begun.value(), 2U) << "tasks were begun afterwards";
  EXPECT_EQ(state->ends.value(), 2U) << "the successors have not left in order";
}

// ---------------------------------------------------------------------------------------------
// Waiting for the end.

// Row 146: join-timeout. It has no limit of its own: another thread can end it.
TEST_F(EndingTest, AJoinThatWaitsForACallIsEndedByTerminating) {
  state.reset();
  Pool pool(2);
  std::thread caller(
      [&] { EXPECT_THROW((void)pool.map(hang, test::numbers(0, 10)), CancelledError); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.close();
  std::thread joiner([&pool] { pool.join(); });
  const auto begin = Clock::now();
  pool.terminate();
  joiner.join();
  caller.join();
  pool.join();
  EXPECT_LT(Clock::now() - begin, kBound);
}

// Row 146: join-timeout.
TEST_F(EndingTest, AJoinThatWaitsForAFinalizerIsEndedByTerminating) {
  state.reset();
  Pool pool(Options{.workers = 2, .finalizer = [] {
                      state->ends.add();
                      (void)state->gate.reaches(1, std::chrono::seconds{60});
                    }});
  pool.close();
  std::thread joiner([&pool] { pool.join(); });
  EXPECT_TRUE(state->ends.reaches(2));
  const auto begin = Clock::now();
  pool.terminate();
  joiner.join();
  EXPECT_LT(Clock::now() - begin, kBound);
}

// Row 148: shutdown-order.
TEST_F(EndingTest, AFinalizerThatHangsIsKilledAfterThirtySecondsAndTheOthersEnd) {
  state.reset();
  const auto finalizer = [] {
    if (state->finalizers.fetch_add(1) == 0) (void)hang(0);
    state->ends.add();
  };
  std::ostringstream text;
  const auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(text);
  const auto logger = std::make_shared<spdlog::logger>("pool", sink);
  Pool pool(Options{.workers = 3, .finalizer = finalizer, .logger = logger});
  const auto begin = Clock::now();
  pool.close();
  pool.join();
  const auto elapsed = Clock::now() - begin;
  EXPECT_EQ(state->finalizers, 3);
  EXPECT_EQ(state->ends.value(), 2U);
  EXPECT_GE(elapsed, std::chrono::seconds{30});
  EXPECT_LT(elapsed, std::chrono::seconds{30} + kBound);
  EXPECT_THAT(text.str(), HasSubstr("finalizers took longer than 30 s"));
}

}  // namespace
}  // namespace bulkhead
