// SPDX-License-Identifier: MIT
//
// The worker that stands by for the next death.
#include "tests/support/footprint.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <csignal>
#include <fstream>
#include <optional>
#include <poll.h>
#include <set>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::SizeIs;
using SpareTest = test::ProcessTest;

struct State {
  test::Tally starts;
};
const test::Shared<State> state;

/// The process that stands by, once there is one: calls keep the pool going until then. 0: none
/// came.
pid_t spare_of(Pool& pool) {
  const pid_t zygote = test::zygote_of(pool);
  std::set<int> others;
  const bool there = test::eventually([&] {
    pool.apply([](int) {}, 1);
    others = test::children_of(zygote);
    for (const int worker : test::workers_under(zygote)) others.erase(worker);
    return others.size() == 1;
  });
  return there ? *others.begin() : 0;
}

/// The dead are reaped, and the living get their names, in a moment.
bool comes_to_have(std::size_t workers, Pool& pool) {
  return test::eventually([&] { return test::workers_of(pool).size() == workers; });
}

TEST_F(SpareTest, TakesThePlaceOfAWorkerThatDied) {
  Pool pool(1);
  for (int death = 0; death < 5; ++death) {
    const pid_t spare = spare_of(pool);
    ASSERT_NE(spare, 0);
    EXPECT_NE(pool.apply(::getpid), spare);
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_EQ(pool.apply(::getpid), spare);
  }
  EXPECT_TRUE(comes_to_have(1, pool));
}

TEST_F(SpareTest, RunsTheInitializerOnlyOnceItHasAPlace) {
  state.reset();
  Pool pool(Options{.workers = 2, .initializer = [] { state->starts.add(); }});
  ASSERT_NE(spare_of(pool), 0);
  EXPECT_TRUE(state->starts.reaches(2));
  EXPECT_EQ(state->starts.value(), 2U);
  EXPECT_THROW((void)pool.apply(test::segfaults, 0), CrashError);
  EXPECT_TRUE(state->starts.reaches(3));
  ASSERT_NE(spare_of(pool), 0);
  EXPECT_EQ(state->starts.value(), 3U);
}

TEST_F(SpareTest, ThatIsKilledIsMissedByNobody) {
  Pool pool(2);
  const pid_t spare = spare_of(pool);
  ASSERT_NE(spare, 0);
  test::kill_child_of(test::zygote_of(pool), spare);
  EXPECT_THAT(pool.map([](int x) { return x; }, test::numbers(0, 1000)), SizeIs(1000));
  EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  EXPECT_THAT(pool.map([](int x) { return x; }, test::numbers(0, 1000)), SizeIs(1000));
  EXPECT_TRUE(comes_to_have(2, pool));
}

/// Its task is done.
bool comes_to_sleep(pid_t worker) {
  return test::eventually([&] {
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string pid;
    std::string name;
    std::string process_state;
    stat >> pid >> name >> process_state;
    return process_state == "S";
  });
}

/// A zygote that says nothing while this lives: of what its workers die is not known.
class Silenced {
 public:
  explicit Silenced(pid_t zygote) : zygote_(zygote) { zygote_.send(SIGSTOP); }
  Silenced(const Silenced&) = delete;
  Silenced& operator=(const Silenced&) = delete;
  ~Silenced() { zygote_.send(SIGCONT); }

 private:
  test::Process zygote_;
};

TEST_F(SpareTest, DoesNotWaitUntilItIsKnownOfWhatTheOtherDied) {
  Pool pool(1);
  const pid_t worker = pool.apply(::getpid);
  const pid_t spare = spare_of(pool);
  ASSERT_NE(spare, 0);
  {
    const Silenced zygote(test::zygote_of(pool));
    ASSERT_EQ(::kill(worker, SIGKILL), 0);
    EXPECT_EQ(pool.apply(::getpid), spare);
    EXPECT_EQ(pool.stats().worker_ends.crashed, 0U);
  }
  EXPECT_TRUE(test::eventually([&] {
    pool.apply([](int) {}, 1);
    return pool.stats().worker_ends.crashed == 1;
  }));
}

TEST_F(SpareTest, RunsWhatWaitsBehindATaskWhoseDeathIsNotExplainedYet) {
  Pool pool(1);
  ASSERT_NE(spare_of(pool), 0);
  std::optional<Silenced> zygote(test::zygote_of(pool));
  AsyncResult<int> crashed = pool.apply_async(test::segfaults, 0);
  EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
  EXPECT_FALSE(crashed.ready());
  EXPECT_EQ(pool.stats().running, 1U);
  zygote.reset();
  EXPECT_THROW((void)crashed.get(), CrashError);
}

TEST_F(SpareTest, WhatADeadWorkerHasAnsweredDoesNotWaitForTheExplanation) {
  state.reset();
  Pool pool(1);
  const pid_t first = pool.apply(::getpid);
  ASSERT_NE(spare_of(pool), 0);
  const int handle = pool.native_handle();
  const Silenced zygote(test::zygote_of(pool));
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  const pid_t second = pool.apply(::getpid);  // there is no spare any more
  bool called = false;
  pool.apply_async([] { state->starts.add(); }).on_done([&](auto) { called = true; });
  pool.poll();
  ASSERT_TRUE(state->starts.reaches(1));
  ASSERT_TRUE(comes_to_sleep(second));
  ASSERT_EQ(::kill(second, SIGKILL), 0);
  EXPECT_TRUE(test::eventually([&] {
    pollfd event{handle, POLLIN, 0};
    if (::poll(&event, 1, 10) != 0) pool.poll();
    return called;
  }));
}

TEST_F(SpareTest, ACallThatIsCancelledBeforeItsDeathIsExplainedEndsOnce) {
  Pool pool(1);
  ASSERT_NE(spare_of(pool), 0);
  std::optional<Silenced> zygote(test::zygote_of(pool));
  AsyncResult<int> crashed = pool.apply_async(test::segfaults, 0);
  EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
  crashed.cancel();
  zygote.reset();
  EXPECT_THROW((void)crashed.get(), RemoteError);
  EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
}

TEST_F(SpareTest, ACallThatIsCancelledBeforeItsDeathIsExplainedIsNotTriedAgain) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  ASSERT_NE(spare_of(pool), 0);
  std::optional<Silenced> zygote(test::zygote_of(pool));
  const CallOptions options{.retries = {.crashes = 9, .pause = std::chrono::minutes{1}}};
  AsyncResult<int> crashed = pool.submit(options, test::segfaults, 0);
  EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
  crashed.cancel();
  ASSERT_TRUE(crashed.ready()) << "nobody runs it any more";
  EXPECT_THROW((void)crashed.get(), CancelledError);
  zygote.reset();
  const auto next = pool.submit_for(
      test::kPatience, [](int x) { return x + 1; }, 2);
  ASSERT_TRUE(next) << "it takes room no longer";
  EXPECT_EQ(next->get(), 3);
}

TEST_F(SpareTest, ThePoolEndsThoughADeathIsNeverExplained) {
  const std::set<int> siblings = test::children_of(::getpid());
  Pool pool(1);
  ASSERT_NE(spare_of(pool), 0);
  const Silenced zygote(test::zygote_of(pool));
  AsyncResult<int> crashed = pool.apply_async(test::segfaults, 0);
  EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
  pool.terminate();
  EXPECT_THROW((void)crashed.get(), CancelledError);
  test::expect_orphans_end(siblings, test::soon());
}

TEST_F(SpareTest, EndsWithThePool) {
  pid_t spare = 0;
  {
    Pool pool(1);
    spare = spare_of(pool);
    ASSERT_NE(spare, 0);
    pool.close();
    pool.join();
    EXPECT_EQ(::kill(spare, 0), -1);
  }
  EXPECT_EQ(::kill(spare, 0), -1);
}

}  // namespace
}  // namespace bulkhead
