// SPDX-License-Identifier: MIT
//
// Pool::stats(): what has happened is counted, what happens is seen, at any time and from any
// thread.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include "worker/memory.hpp"
#include <bulkhead/bulkhead.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const test::Shared<test::Gated> gated;

class StatsTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    gated.reset();
    ProcessTest::SetUp();
  }
};

int increment(int x) {
  return x + 1;
}
int throws_if_odd(int x) {
  if (x % 2 == 1) throw std::runtime_error("odd");
  return x;
}
int waits_for_gate(int x) {
  return gated->wait_for_gate(x);
}
int sleeps(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}
std::string reversed(std::string text) {
  std::reverse(text.begin(), text.end());
  return text;
}

TEST_F(StatsTest, OfAPoolThatHasDoneNothing) {
  Pool pool(2);
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.all(), 0U);
  EXPECT_EQ(stats.calls, 0U);
  EXPECT_EQ(stats.worker_starts, 2U);
  EXPECT_EQ(stats.worker_ends.replaced(), 0U);
  EXPECT_EQ(stats.queued + stats.waiting + stats.running, 0U);
  EXPECT_THAT(stats.workers, SizeIs(2));
  EXPECT_THAT(stats.slowest, IsEmpty());
  EXPECT_EQ(stats.task_times.count(), 0U);
}

TEST_F(StatsTest, CountTasksByOutcome) {
  Pool pool(2);
  (void)pool.map(increment, numbers(0, 1000));
  (void)pool.try_map(throws_if_odd, numbers(0, 10));
  (void)pool.try_map(test::only_at<3, test::segfaults>, numbers(0, 10));
  (void)pool.try_map(sleeps, std::vector<int>{0, 60'000}, {.timeout = 50ms});
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.value, 1000U + 5 + 9 + 1);
  EXPECT_EQ(stats.tasks.exception, 5U);
  EXPECT_EQ(stats.tasks.crashed, 1U);
  EXPECT_EQ(stats.tasks.timed_out, 1U);
  EXPECT_EQ(stats.tasks.all(), 1022U);
  EXPECT_EQ(stats.calls, 4U);
  EXPECT_EQ(stats.worker_ends.crashed, 1U);
  EXPECT_EQ(stats.worker_ends.timed_out, 1U);
  EXPECT_EQ(stats.worker_ends.replaced(), 2U);
}

TEST_F(StatsTest, CountAttemptsThatWereRetried) {
  Pool pool(1);
  (void)pool.try_map(throws_if_odd, numbers(0, 4), {.retries = {.exceptions = 2}});
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.exception, 2U);
  EXPECT_EQ(stats.retried, 4U);
}

TEST_F(StatsTest, CountTasksThatWereCancelled) {
  Pool pool(1);
  std::stop_source stop;
  auto result = pool.try_map_async(waits_for_gate, numbers(0, 5), {.stop = stop.get_token()});
  ASSERT_TRUE(gated->begun.reaches(1));
  stop.request_stop();
  (void)result.get();
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.cancelled, 5U);
  EXPECT_EQ(stats.worker_ends.cancelled, 1U);
}

TEST_F(StatsTest, CountCallsThatWereCancelledOneByOne) {
  Pool pool(1);
  auto running = pool.apply_async(waits_for_gate, 1);
  ASSERT_TRUE(gated->begun.reaches(1));
  auto waiting = pool.apply_async(waits_for_gate, 2);
  waiting.cancel();
  gated->gate.add();
  EXPECT_EQ(running.get(), 1);
  EXPECT_THROW(waiting.get(), CancelledError);
  EXPECT_TRUE(test::eventually([&] { return pool.stats().tasks.cancelled == 1; }));
  EXPECT_EQ(pool.stats().tasks.value, 1U);
}

TEST_F(StatsTest, CountTasksThatWereNotRunAsThePoolBroke) {
  Pool pool(Options{.workers = 1,
                    .initializer = [] { throw std::runtime_error("no"); },
                    .inline_execution = true});
  EXPECT_THROW((void)pool.try_map(increment, numbers(0, 7)), BrokenPool);
  const Stats stats = pool.stats();
  EXPECT_GE(stats.tasks.not_run, 1U);
  EXPECT_EQ(stats.tasks.all(), stats.tasks.not_run);
}

TEST_F(StatsTest, CountWorkersThatDoNotStart) {
  Pool pool(Options{.workers = 1, .initializer = [] { throw std::runtime_error("no"); }});
  EXPECT_THROW((void)pool.map(increment, numbers(0, 7)), BrokenPool);
  EXPECT_EQ(pool.stats().worker_ends.failed_start, 2U);
}

TEST_F(StatsTest, ShowWhatRunsAndWhatWaits) {
  Pool pool(2);
  auto result = pool.map_async(waits_for_gate, numbers(0, 10), {.label = "gates"});
  ASSERT_TRUE(gated->begun.reaches(2));
  ASSERT_TRUE(test::eventually([&] { return pool.stats().running == 2; }));
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.waiting + stats.queued, 8U);
  for (const Stats::Worker& worker : stats.workers) {
    EXPECT_EQ(worker.state, Stats::WorkerState::busy);
    ASSERT_TRUE(worker.running);
    EXPECT_EQ(worker.running->call, 1U);
    EXPECT_LT(worker.running->index, 10U);
    EXPECT_GE(worker.running->since.count(), 0.0);
    EXPECT_LE(worker.running->since, worker.age);
    EXPECT_GT(worker.pid, 0);
    EXPECT_GT(worker.resident_bytes, 0U);
  }
  gated->gate.add();
  (void)result.get();
  EXPECT_TRUE(test::eventually([&] { return pool.stats().running == 0; }));
  EXPECT_THAT(pool.stats().workers, Each(Field(&Stats::Worker::state, Stats::WorkerState::idle)));
}

TEST_F(StatsTest, AddUpTheTimesOfTasksExactlyWhereTheyAreLong) {
  Pool pool(2);
  (void)pool.map(sleeps, std::vector<int>{30, 60, 30, 30}, {.label = "naps"});
  ASSERT_TRUE(test::eventually([&] { return pool.stats().task_times.count() == 4; }));
  const Stats stats = pool.stats();
  EXPECT_GE(stats.task_times.sum.count(), 0.150);
  EXPECT_EQ(stats.task_times.cumulative(12), 0U) << "none took 10 ms or less";
  EXPECT_GE(stats.times.working.count(), 0.150);
  EXPECT_GE(stats.task_times.quantile(0.5), Stats::Seconds(0.05));
  ASSERT_THAT(stats.slowest, SizeIs(4));
  EXPECT_GE(stats.slowest[0].time.count(), 0.060);
  EXPECT_THAT(stats.slowest, Contains(Field(&Stats::SlowTask::index, 1U)));
  EXPECT_THAT(stats.slowest, Each(Field(&Stats::SlowTask::label, std::string("naps"))));
}

TEST_F(StatsTest, FindTheSlowTaskAmongTinyOnes) {
  Pool pool(1);
  std::vector<int> naps(2000, 0);
  (void)pool.map(increment, naps);
  (void)pool.map(sleeps, std::vector<int>{0, 0, 50, 0});
  ASSERT_TRUE(test::eventually([&] { return pool.stats().task_times.count() == 2004; }));
  const Stats stats = pool.stats();
  ASSERT_THAT(stats.slowest, SizeIs(5));
  EXPECT_EQ(stats.slowest[0].call, 2U);
  EXPECT_GE(stats.slowest[0].time.count(), 0.050 / 4) << "it may have been timed with the others";
}

TEST_F(StatsTest, FindCallsThatTakeLongOnceInAWhile) {
  Pool pool(1);
  for (int i = 0; i < 100; ++i) (void)pool.apply(sleeps, 0);
  EXPECT_EQ(pool.apply(sleeps, 40), 40);
  for (int i = 0; i < 3; ++i) (void)pool.apply(sleeps, 0);
  const Stats stats = pool.stats();
  ASSERT_FALSE(stats.slowest.empty());
  EXPECT_EQ(stats.slowest[0].call, 101U);
  EXPECT_GE(stats.slowest[0].time.count(), 0.040);
}

TEST_F(StatsTest, CountTinyTasksAndTheirTime) {
  Pool pool(2);
  (void)pool.map(increment, numbers(0, 200'000));
  ASSERT_TRUE(test::eventually([&] { return pool.stats().task_times.count() == 200'000; }));
  const Stats stats = pool.stats();
  EXPECT_GT(stats.task_times.sum.count(), 0.0);
  EXPECT_LE(stats.times.working, stats.times.all());
  EXPECT_GT(stats.bytes_sent, 200'000U * 4);
  EXPECT_GT(stats.bytes_received, 200'000U * 4);
}

TEST_F(StatsTest, TellSerialisingFromWorking) {
  Pool pool(1);
  (void)pool.map(reversed, std::vector<std::string>(20, std::string(4'000'000, 'x')));
  const Stats stats = pool.stats();
  EXPECT_GT(stats.times.serialising.count(), 0.0);
  EXPECT_GT(stats.bytes_sent, 80'000'000U);
  EXPECT_NEAR(
      stats.times.share_of(stats.times.working) + stats.times.share_of(stats.times.serialising) +
          stats.times.share_of(stats.times.waiting) + stats.times.share_of(stats.times.start),
      1.0, 1e-9);
}

TEST_F(StatsTest, TellSerialisingFromWorkingInReductionsToo) {
  Pool pool(2);
  const auto nap = [](const std::string& text) {
    std::this_thread::sleep_for(10ms);
    return text.size();
  };
  (void)pool.map_reduce(std::vector<std::string>(20, "text"), nap, std::plus<>{}, std::size_t{0});
  const Stats::Times times = pool.stats().times;
  EXPECT_GE(times.working.count(), 0.2);
  EXPECT_LT(times.serialising, times.working / 4);
}

// What comes behind a failure is let go.
TEST_F(StatsTest, CountNoFailuresOfWhatNobodyWants) {
  Pool pool(2);
  for (int call = 0; call < 5; ++call) {
    const auto fail_at_100 = [](int x) {
      if (x == 100) throw std::runtime_error("no");
      return x;
    };
    EXPECT_FALSE(pool.try_map_reduce(numbers(0, 5000), fail_at_100, std::plus<>{}, 0));
  }
  EXPECT_EQ(pool.stats().tasks.exception, 5U);
}

TEST_F(StatsTest, ForgetWorkersThatHaveLeft) {
  Pool pool(Options{.workers = 4, .idle_timeout = 10ms});
  pool.resize(3);
  EXPECT_TRUE(test::eventually([&] {
    const auto workers = pool.stats().workers;
    return std::ranges::all_of(workers, [](const Stats::Worker& worker) {
      return worker.state == Stats::WorkerState::missing && worker.pid == 0;
    });
  })) << "nobody uses the pool meanwhile";
  const Stats::Ends ends = pool.stats().worker_ends;
  EXPECT_EQ(ends.idle + ends.resized, 4U);
  EXPECT_GE(ends.idle, 3U);
  EXPECT_EQ(ends.replaced(), 0U);
}

TEST_F(StatsTest, ShowHowLongWorkersTakeToStart) {
  Pool pool(Options{.workers = 1, .initializer = [] { std::this_thread::sleep_for(50ms); }});
  EXPECT_TRUE(test::eventually([&] {
    return pool.stats().workers.at(0).state == Stats::WorkerState::idle;
  })) << "though no call has been made";
  (void)pool.map(increment, numbers(0, 10));
  const Stats stats = pool.stats();
  EXPECT_GE(stats.times.start.count(), 0.050);
  EXPECT_GE(stats.workers.at(0).times.start.count(), 0.050);
}

TEST_F(StatsTest, CountRecycledWorkers) {
  Pool pool(Options{.workers = 1, .max_tasks_per_worker = 5});
  (void)pool.map(increment, numbers(0, 20));
  EXPECT_TRUE(test::eventually([&] { return pool.stats().worker_ends.recycled >= 3; }));
  EXPECT_EQ(pool.stats().worker_ends.crashed, 0U);
}

TEST_F(StatsTest, TimeTasksThatCrashOrRunOutOfTime) {
  Pool pool(1);
  (void)pool.try_map(sleeps, std::vector<int>{60'000}, {.timeout = 80ms});
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.task_times.count(), 1U);
  EXPECT_GE(stats.task_times.sum.count(), 0.080);
  ASSERT_THAT(stats.slowest, SizeIs(1));
  EXPECT_GE(stats.slowest[0].time.count(), 0.080);
}

TEST_F(StatsTest, MayBeReadByAnyThreadBesideACall) {
  Pool pool(2);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    Stats before;
    while (!done) {
      const Stats now = pool.stats();
      EXPECT_GE(now.tasks.value, before.tasks.value);
      EXPECT_GE(now.task_times.count(), before.task_times.count());
      EXPECT_GE(now.task_times.sum, before.task_times.sum);
      EXPECT_GE(now.times.working, before.times.working);
      EXPECT_GE(now.bytes_sent, before.bytes_sent);
      before = now;
    }
  });
  for (int round = 0; round < 5; ++round) {
    (void)pool.map(increment, numbers(0, 50'000));
    (void)pool.try_map(test::only_at<3, test::aborts>, numbers(0, 10));
  }
  done = true;
  reader.join();
  EXPECT_EQ(pool.stats().tasks.crashed, 5U);
}

TEST_F(StatsTest, AreThereAfterTheEnd) {
  Pool pool(2);
  (void)pool.map(increment, numbers(0, 10));
  pool.close();
  EXPECT_EQ(pool.stats().tasks.value, 10U);
  pool.join();
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.value, 10U);
  EXPECT_EQ(stats.worker_ends.pool_ended, 2U);
  EXPECT_EQ(stats.worker_ends.replaced(), 0U);
  EXPECT_THAT(stats.workers, IsEmpty());
  pool.terminate();
  EXPECT_EQ(pool.stats().tasks.value, 10U);
}

TEST_F(StatsTest, WorkersThatLeaveWhileThePoolEndsHaveNotCrashed) {
  for (int i = 0; i < 30; ++i) {
    std::optional<Pool> pool(std::in_place, Options{.workers = 4, .max_tasks_per_worker = 1});
    (void)pool->map(increment, numbers(0, 8));
    const StatsReader read = pool->stats_reader();
    pool.reset();
    ASSERT_EQ(read().worker_ends.crashed, 0U) << i;
  }
}

TEST_F(StatsTest, AReaderOutlivesThePool) {
  std::optional<Pool> pool(std::in_place, 1);
  (void)pool->map(increment, numbers(0, 10));
  const StatsReader read = pool->stats_reader();
  EXPECT_EQ(read().tasks.value, 10U);
  pool.reset();
  EXPECT_EQ(read().tasks.value, 10U);
  EXPECT_EQ(read().worker_ends.pool_ended, 1U);
  EXPECT_THAT(read().workers, IsEmpty());
}

TEST_F(StatsTest, AReaderMayReadWhileThePoolEnds) {
  for (int round = 0; round < 10; ++round) {
    std::optional<Pool> pool(std::in_place, Options{.workers = 1});
    (void)pool->map(increment, numbers(0, 10));
    std::atomic<bool> begun = false;
    std::thread reader([&, read = pool->stats_reader()] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(read().tasks.value, 10U);
        begun = true;
      }
    });
    ASSERT_TRUE(test::eventually([&] { return begun.load(); }));
    pool.reset();
    reader.join();
  }
}

TEST_F(StatsTest, AreRefusedInAForkedCopy) {
  Pool pool(1);
  const StatsReader read = pool.stats_reader();
  test::in_fork([&] {
    EXPECT_THROW((void)pool.stats(), PoolClosed);
    EXPECT_THROW((void)read(), PoolClosed);
  });
}

TEST_F(StatsTest, OfInlineTasks) {
  Pool pool(Options{.workers = 2, .inline_execution = true});
  (void)pool.try_map(throws_if_odd, numbers(0, 10), {.retries = {.exceptions = 1}});
  (void)pool.map(sleeps, std::vector<int>{20}, {.label = "nap"});
  const Stats stats = pool.stats();
  EXPECT_EQ(stats.tasks.value, 6U);
  EXPECT_EQ(stats.tasks.exception, 5U);
  EXPECT_EQ(stats.retried, 5U);
  EXPECT_EQ(stats.calls, 2U);
  EXPECT_EQ(stats.task_times.count(), 16U);
  ASSERT_FALSE(stats.slowest.empty());
  EXPECT_EQ(stats.slowest[0].label, "nap");
  ASSERT_THAT(stats.workers, SizeIs(1));
  EXPECT_EQ(stats.workers[0].pid, ::getpid());
  EXPECT_EQ(stats.workers[0].state, Stats::WorkerState::idle);
}

TEST_F(StatsTest, AreTenLinesForAPersonAtTheMost) {
  Pool pool(2);
  (void)pool.try_map(test::only_at<3, test::aborts>, numbers(0, 10), {.label = "ten"});
  std::ostringstream out;
  out << pool.stats();
  const std::string text = out.str();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 10);
  EXPECT_THAT(text, HasSubstr("9 done, 1 crashed"));
  EXPECT_THAT(text, HasSubstr("1 replaced, 1 crashed"));
}

/// Random bytes where the worker keeps its figures.
int scribbles_over_its_figures(int x) {
  std::minstd_rand random(static_cast<unsigned>(x) + 1);
  static const std::span<std::byte> outbox = test::writable_outbox();
  auto* words = outbox.data() + sizeof(detail::OutboxWords);
  for (std::size_t i = 0; i < sizeof(detail::WorkWords); ++i)
    words[i] = static_cast<std::byte>(random() >> 8U);
  return x;
}

TEST_F(StatsTest, OfAWorkerThatLiesAreWrongAndNoMore) {
  Pool pool(2);
  for (int round = 0; round < 50; ++round) {
    EXPECT_EQ(pool.map(scribbles_over_its_figures, numbers(0, 20)), numbers(0, 20));
    const Stats stats = pool.stats();
    EXPECT_LE(stats.task_times.count(), detail::kTimeBuckets * 20 * 50) << "they never get fewer";
    EXPECT_GE(stats.times.working.count(), 0.0);
    EXPECT_GE(stats.times.waiting.count(), 0.0);
    EXPECT_LT(stats.times.all().count(), 3600.0);
    EXPECT_LE(stats.slowest.size(), 5U);
    for (const Stats::SlowTask& task : stats.slowest) EXPECT_LT(task.index, 20U);
    EXPECT_FALSE(to_string(stats).empty());
  }
  EXPECT_EQ(pool.stats().tasks.value, 1000U);
}

}  // namespace
}  // namespace bulkhead
