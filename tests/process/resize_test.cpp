// SPDX-License-Identifier: MIT
//
// Pools that get another number of workers while they run.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_worker.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <poll.h>
#include <random>
#include <sched.h>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kMany = 40'000;

struct State : test::Gated {
  test::Tally initialized;
  test::Tally finalized;
  std::array<std::atomic<std::uint8_t>, kMany> runs;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}
/// x, and counts its runs; for some of them takes its time.
int counted(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
  if (x % 16 == 0) test::work_for(100us);
  return x;
}

class ResizeTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }

  static void expect_one_run_each(int count) {
    for (int x = 0; x < count; ++x) {
      ASSERT_EQ(state->runs[static_cast<std::size_t>(x)], 1) << x;
    }
  }
};

/// True once so many workers are there. They come and go while the pool is used.
bool comes_to_have(Pool& pool, std::size_t workers) {
  const pid_t zygote = test::zygote_of(pool);
  return test::eventually([&] {
    (void)pool.apply(same, 1);
    return test::placed_workers_under(zygote).size() == workers;
  });
}

/// The numbers of workers that take part in a call, and their processes.
std::map<int, pid_t> places(Pool& pool) {
  std::map<int, pid_t> found;
  const auto who = [](int) {
    test::work_for(200us);
    return std::pair(this_worker::number(), ::getpid());
  };
  for (const auto& [number, pid] : pool.map(who, numbers(0, 200))) {
    found[static_cast<int>(number)] = pid;
  }
  return found;
}

TEST_F(ResizeTest, GrowsAndShrinks) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(same, 1), 1);
  for (const int workers : {5, 1, 3, 3, 2}) {
    pool.resize(workers);
    EXPECT_EQ(pool.workers(), workers);
    EXPECT_TRUE(comes_to_have(pool, static_cast<std::size_t>(workers)));
    EXPECT_EQ(pool.map(same, numbers(0, 1000)), numbers(0, 1000));
  }
}

TEST_F(ResizeTest, ToAnImpossibleNumberIsRefusedWithTheValue) {
  Pool pool(1);
  Pool in_process(Options{.workers = 1, .inline_execution = true});
  for (const int workers : {0, -1, 1025, INT_MAX, INT_MIN}) {
    for (Pool* each : {&pool, &in_process}) {
      try {
        each->resize(workers);
        ADD_FAILURE() << "accepted";
      } catch (const InvalidArgument& error) {
        EXPECT_THAT(error.what(), HasSubstr("is " + std::to_string(workers)));
        EXPECT_THAT(error.what(), HasSubstr("between 1 and 1024"));
      }
      EXPECT_EQ(each->workers(), 1);
    }
  }
}

TEST_F(ResizeTest, OfAPoolThatTakesNoCallsIsRefused) {
  for (const bool is_inline : {false, true}) {
    Pool closed(Options{.workers = 1, .inline_execution = is_inline});
    closed.close();
    EXPECT_THROW(closed.resize(2), PoolClosed);
    closed.terminate();
    EXPECT_THROW(closed.resize(2), PoolClosed);
    EXPECT_EQ(closed.workers(), 1);
  }
}

TEST_F(ResizeTest, KeepsTheWorkersThatKeepTheirPlaces) {
  Pool pool(Options{.workers = 4, .finalizer = [] { state->finalized.add(); }});
  EXPECT_TRUE(comes_to_have(pool, 4));
  const std::set<int> before = test::placed_workers_under(test::zygote_of(pool));
  const std::map<int, pid_t> first = places(pool);
  pool.resize(2);
  EXPECT_TRUE(comes_to_have(pool, 2));
  EXPECT_TRUE(state->finalized.reaches(2));
  for (const auto& [number, pid] : places(pool)) {
    EXPECT_LT(number, 2);
    EXPECT_TRUE(!first.contains(number) || first.at(number) == pid);
    EXPECT_TRUE(before.contains(pid));
  }
  pool.resize(4);
  EXPECT_TRUE(comes_to_have(pool, 4));
  EXPECT_EQ(state->finalized.value(), 2U);
}

TEST_F(ResizeTest, NewWorkersAreOfTheSameSnapshot) {
  static int global = 1;
  global = 1;
  Pool pool(Options{.workers = 1, .initializer = [] { state->initialized.add(); }});
  global = 2;
  pool.resize(4);
  const auto look = [](int) {
    test::work_for(1ms);
    return global;
  };
  for (const int seen : pool.map(look, numbers(0, 100))) EXPECT_EQ(seen, 1);
  EXPECT_TRUE(state->initialized.reaches(4));
}

// Before the first of them has said that it is ready.
TEST_F(ResizeTest, RightAfterTheStart) {
  Pool pool(Options{.workers = 6,
                    .initializer = [] { state->initialized.add(); },
                    .finalizer = [] { state->finalized.add(); }});
  pool.resize(1);
  EXPECT_TRUE(state->finalized.reaches(5)) << "without anybody driving";
  EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
  EXPECT_TRUE(comes_to_have(pool, 1));
  EXPECT_EQ(state->initialized.value(), 6U);
}

TEST_F(ResizeTest, LetsTheTaskThatRunsComeToItsEnd) {
  Pool pool(Options{.workers = 3, .finalizer = [] { state->finalized.add(); }});
  std::vector<int> results;
  std::jthread caller([&] { results = pool.map(wait_for_gate, numbers(0, 100)); });
  EXPECT_TRUE(state->begun.reaches(3));
  pool.resize(1);
  EXPECT_EQ(state->finalized.value(), 0U);
  state->gate.add();
  EXPECT_TRUE(state->finalized.reaches(2));
  caller.join();
  EXPECT_EQ(results, numbers(0, 100));
  EXPECT_EQ(state->begun.value(), 100U) << "none ran twice";
}

TEST_F(ResizeTest, GivesWhatWaitsThereToOthers) {
  Pool pool(2);
  // Tiny ones, so that many wait at each worker; one at each waits for all others.
  const auto task = [](int x) {
    counted(x);
    if (x == 200 || x == 300) return wait_for_gate(x);
    state->initialized.add();
    return x;
  };
  std::vector<int> results;
  std::jthread caller([&] { results = pool.map(task, numbers(0, kMany)); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.resize(1);
  pool.resize(3);  // the hung one has its place again
  EXPECT_TRUE(state->initialized.reaches(kMany - 2)) << "what waited behind the two was lost";
  pool.resize(1);
  state->gate.add();
  caller.join();
  EXPECT_EQ(results, numbers(0, kMany));
  expect_one_run_each(kMany);
}

// They leave without having rebuilt its function, and are not blamed for that.
TEST_F(ResizeTest, ACallWithStateThatWaitsAtManyWorkersThatGoIsNotHarmed) {
  Pool pool(8);
  const auto others = pool.map_async(wait_for_gate, numbers(0, 8));
  EXPECT_TRUE(state->begun.reaches(8));
  const auto add = [](int a, int b) { return a + b; };
  const auto sums = pool.map_async(partial(add, 1), numbers(0, 40));
  EXPECT_FALSE(sums.wait(20ms));
  pool.resize(2);
  state->gate.add();
  EXPECT_EQ(sums.get(), numbers(1, 41));
  EXPECT_EQ(others.get(), numbers(0, 8));
}

TEST_F(ResizeTest, ACallWhoseTaskHangsAtAWorkerThatIsToGoEndsByItsTimeout) {
  Pool pool(2);
  const auto hang = [](int x) { return x < 2 ? wait_for_gate(x) : x; };
  std::vector<Outcome<int>> outcomes;
  std::jthread caller(
      [&] { outcomes = pool.try_map(hang, numbers(0, 20), CallOptions{.timeout = 300ms}); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.resize(1);
  caller.join();
  ASSERT_THAT(outcomes, SizeIs(20));
  for (std::size_t x = 0; x < 20; ++x) {
    if (x < 2) {
      EXPECT_EQ(outcomes[x].failure().kind(), FailureKind::timed_out);
    } else {
      EXPECT_EQ(outcomes[x].value_or(-1), static_cast<int>(x));
    }
  }
  EXPECT_TRUE(comes_to_have(pool, 1));
}

TEST_F(ResizeTest, AWorkerThatDiesThereHasNoSuccessor) {
  Pool pool(2);
  std::jthread caller([&] {
    const auto die = [](int x) { return wait_for_gate(x) + (x == 1 ? test::kills_itself(x) : 0); };
    for (const auto& outcome : pool.try_map(die, numbers(0, 2))) {
      EXPECT_TRUE(outcome || outcome.failure().kind() == FailureKind::crashed);
    }
  });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.resize(1);
  state->gate.add();
  caller.join();
  EXPECT_TRUE(comes_to_have(pool, 1));
}

// Row 132: resize.
TEST_F(ResizeTest, ManyTimesUnderLoad) {
  for (const bool kill : {false, true}) {
    state.reset();
    Pool pool(12);
    const pid_t zygote = test::zygote_of(pool);
    std::vector<Outcome<int>> outcomes;
    std::jthread caller([&] { outcomes = pool.try_map(counted, numbers(0, kMany)); });
    for (const int workers : {2, 1, 12, 6, 1, 8, 5}) {
      pool.resize(workers);
      const std::set<int> there = test::placed_workers_under(zygote);
      if (kill && !there.empty()) test::kill_child_of(zygote, *there.begin());
      test::pause_a_moment();
    }
    caller.join();
    ASSERT_THAT(outcomes, SizeIs(kMany));
    const auto crashed = std::count_if(outcomes.begin(), outcomes.end(),
                                       [](const auto& outcome) { return !outcome; });
    EXPECT_LE(crashed, kill ? 7 : 0);
    for (int x = 0; x < kMany; ++x) {
      const auto& outcome = outcomes[static_cast<std::size_t>(x)];
      EXPECT_LE(state->runs[static_cast<std::size_t>(x)], 1) << x;
      EXPECT_EQ(outcome.value_or(x), x);
    }
    EXPECT_TRUE(comes_to_have(pool, 5));
  }
}

// Row 165: host-reload-storm.
TEST_F(ResizeTest, AStormOfThemLosesNoTaskAndNoWorker) {
  Pool pool(Options{.workers = 3, .max_tasks_per_worker = 500});
  std::atomic<bool> over = false;
  std::jthread caller([&] {
    while (!over) {
      for (auto& runs : state->runs) runs = 0;
      EXPECT_EQ(pool.map(counted, numbers(0, 5000)), numbers(0, 5000));
      expect_one_run_each(5000);
    }
  });
  std::mt19937 random(165);
  for (int i = 0; i < 25; ++i) {
    pool.resize(static_cast<int>(1 + random() % 8));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 25));
  }
  over = true;
  caller.join();
  pool.resize(4);
  EXPECT_TRUE(comes_to_have(pool, 4));
}

TEST_F(ResizeTest, MayRaceWithCallsAndWithTheEnd) {
  for (int round = 0; round < 10; ++round) {
    Pool pool(2);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&pool, i] {
        try {
          for (int x = 0; x < 40; ++x) {
            if (i % 2 == 0) {
              pool.resize(1 + x % 4);
            } else {
              EXPECT_EQ(pool.apply(same, x), x);
            }
          }
        } catch (const PoolClosed&) {  // as it may
        } catch (const CancelledError&) {
        }
      });
    }
    test::pause_a_moment();
    if (round % 2 == 0) {
      pool.terminate();
    } else {
      pool.close();
      pool.join();
    }
  }
}

TEST_F(ResizeTest, InACallbackAndInTheProgressOfACall) {
  Pool pool(2);
  pool.apply_async(same, 1).on_success([&](int) { pool.resize(3); });
  EXPECT_TRUE(test::eventually([&] { return pool.workers() == 3; }));
  const CallOptions options{.progress = [&](const Progress&) { pool.resize(1); }};
  EXPECT_EQ(pool.map(same, numbers(0, 100), options), numbers(0, 100));
  EXPECT_TRUE(comes_to_have(pool, 1));
}

TEST_F(ResizeTest, OfAPoolThatAnEventLoopLooksAfter) {
  Pool pool(1);
  pollfd fd{pool.native_handle(), POLLIN, 0};
  const auto result = pool.map_async(wait_for_gate, numbers(0, 4));
  pool.resize(4);
  const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
  while (!result.ready() && std::chrono::steady_clock::now() < deadline) {
    (void)::poll(&fd, 1, 1000);
    pool.poll();
    if (state->begun.value() == 4) state->gate.add();  // each has a worker
  }
  EXPECT_EQ(result.get(0s), numbers(0, 4));
}

TEST_F(ResizeTest, NewWorkersTakeOverTasksThatWaitBehindOthers) {
  Pool pool(1);
  std::jthread caller([&] { EXPECT_EQ(pool.map(wait_for_gate, numbers(0, 3)), numbers(0, 3)); });
  EXPECT_TRUE(state->begun.reaches(1));
  pool.resize(3);
  EXPECT_TRUE(state->begun.reaches(3));
  state->gate.add();
}

TEST_F(ResizeTest, PinsNewWorkersAsItDidTheFirst) {
  cpu_set_t own;
  ASSERT_EQ(::sched_getaffinity(0, sizeof own, &own), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &own)) cpus.push_back(cpu);
  }
  Pool pool(Options{.workers = 1, .pin_workers = true});
  pool.resize(4);
  const auto where = [](int) {
    test::work_for(200us);
    return std::pair(this_worker::number(), ::sched_getcpu());
  };
  for (const auto& [number, cpu] : pool.map(where, numbers(0, 100))) {
    EXPECT_EQ(cpu, cpus[static_cast<std::size_t>(number) % cpus.size()]);
  }
}

TEST_F(ResizeTest, NewWorkersHaveTheirShareOfTasksToo) {
  Pool pool(Options{.workers = 1, .max_tasks_per_worker = 3});
  pool.resize(3);
  std::map<pid_t, int> tasks;
  for (const pid_t pid : pool.map([](int) { return ::getpid(); }, numbers(0, 60))) ++tasks[pid];
  for (const auto& [pid, count] : tasks) EXPECT_LE(count, 3) << "process " << pid;
}

TEST_F(ResizeTest, AnInitializerThatFailsInNewWorkersDoesNotBreakThePool) {
  const auto first_two_only = [] {
    state->initialized.add();
    if (this_worker::number() >= 2) throw std::runtime_error("no");
  };
  Pool pool(Options{.workers = 2, .initializer = first_two_only});
  EXPECT_TRUE(comes_to_have(pool, 2));
  pool.resize(4);
  EXPECT_TRUE(test::eventually([&] {
    EXPECT_EQ(pool.map(same, numbers(0, 10)), numbers(0, 10));
    return state->initialized.value() >= 2 + 8;
  })) << "2 x workers may die in a row before they are ready";
  EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
  EXPECT_LE(state->initialized.value(), 2U + 8U + 2U) << "and no more, but for those on their way";
}

TEST_F(ResizeTest, ToTheSameNumberAgainAndAgainChangesNothing) {
  Pool pool(3);
  EXPECT_TRUE(comes_to_have(pool, 3));
  const std::set<int> before = test::placed_workers_under(test::zygote_of(pool));
  for (int i = 0; i < 100; ++i) pool.resize(3);
  EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
  EXPECT_EQ(test::placed_workers_under(test::zygote_of(pool)), before);
}

TEST_F(ResizeTest, InlineIsANumberOnly) {
  Pool pool(Options{.workers = 2, .inline_execution = true});
  pool.resize(7);
  EXPECT_EQ(pool.workers(), 7);
  EXPECT_EQ(pool.map(same, numbers(0, 10)), numbers(0, 10));
}

}  // namespace
}  // namespace bulkhead
