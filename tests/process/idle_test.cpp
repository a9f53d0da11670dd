// SPDX-License-Identifier: MIT
//
// Workers that leave when they have had nothing to do for a while, and come back on demand.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_worker.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <poll.h>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kMany = 20'000;

struct State : test::Gated {
  test::Tally initialized;
  test::Tally finalized;
  std::array<std::atomic<std::uint8_t>, kMany> runs;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}
int counted(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
  return x;
}
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

class IdleTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }

  static Options with(int workers, std::chrono::nanoseconds idle_timeout) {
    return {.workers = workers,
            .initializer = [] { state->initialized.add(); },
            .finalizer = [] { state->finalized.add(); },
            .idle_timeout = idle_timeout};
  }
};

/// True once all workers have left, and nobody has to look after the pool for that.
bool all_leave(pid_t zygote) {
  return test::eventually([&] { return test::placed_workers_under(zygote).empty(); });
}

// Row 131: idle-timeout.
TEST_F(IdleTest, WorkersLeaveByThemselvesAndComeBackOnDemand) {
  Pool pool(with(3, 20ms));
  const pid_t zygote = test::zygote_of(pool);
  for (std::uint32_t round = 1; round <= 3; ++round) {
    EXPECT_TRUE(all_leave(zygote));
    EXPECT_GE(state->finalized.value(), 3U);
    EXPECT_EQ(state->finalized.value(), state->initialized.value());
    EXPECT_EQ(pool.workers(), 3);
    EXPECT_EQ(pool.map(same, numbers(0, 1000)), numbers(0, 1000));
  }
}

TEST_F(IdleTest, NoMoreComeBackThanThereIsWorkFor) {
  Pool pool(with(8, 20ms));
  EXPECT_TRUE(state->finalized.reaches(8));
  EXPECT_EQ(pool.apply(same, 7), 7);
  EXPECT_EQ(state->initialized.value(), 9U);
  EXPECT_TRUE(state->finalized.reaches(9));
  std::jthread caller([&] { EXPECT_EQ(pool.map(wait_for_gate, numbers(0, 4)), numbers(0, 4)); });
  EXPECT_TRUE(state->begun.reaches(4)) << "each long task has a worker of its own";
  EXPECT_EQ(state->initialized.value(), 13U);
  state->gate.add();
}

TEST_F(IdleTest, AWorkerThatHasATaskStays) {
  Pool pool(with(2, 10ms));
  std::jthread caller([&] { EXPECT_EQ(pool.apply(wait_for_gate, 3), 3); });
  EXPECT_TRUE(state->begun.reaches(1));
  const auto one_is_left = [] {
    return state->finalized.value() + 1 == state->initialized.value();
  };
  EXPECT_TRUE(test::eventually(one_is_left)) << "the other leaves";
  for (int i = 0; i < 30; ++i) test::pause_a_moment();
  EXPECT_TRUE(one_is_left());
  state->gate.add();
  EXPECT_TRUE(
      test::eventually([] { return state->finalized.value() == state->initialized.value(); }));
}

// Tasks that are published just when their worker leaves.
TEST_F(IdleTest, NoTaskIsLostHoweverOftenWorkersLeave) {
  for (const auto timeout : {1ns, 50'000ns, 300'000ns}) {
    state.reset();
    Pool pool(with(2, timeout));
    std::mt19937 random(131);
    for (int x = 0; x < 300; ++x) {
      EXPECT_EQ(pool.apply(counted, x), x);
      test::work_for(std::chrono::microseconds(random() % 300));
    }
    EXPECT_EQ(pool.map(counted, numbers(300, kMany)), numbers(300, kMany));
    for (int x = 0; x < kMany; ++x) {
      ASSERT_EQ(state->runs[static_cast<std::size_t>(x)], 1) << x;
    }
  }
}

/// Takes its time to be encoded: workers idle meanwhile.
struct Slow {
  int x = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    test::work_for(200us);
    archive(x);
  }
};

// Row 131.
TEST_F(IdleTest, ArgumentsThatAreEncodedSlowly) {
  Pool pool(with(2, 100us));
  std::vector<Slow> elements(100);
  for (int i = 0; i < 100; ++i) elements[static_cast<std::size_t>(i)].x = i;
  const auto results = pool.map([](const Slow& slow) { return slow.x; }, elements);
  EXPECT_EQ(results, numbers(0, 100));
}

TEST_F(IdleTest, InCallsThatGoOnByThemselvesAndInStreams) {
  Pool pool(with(2, 200us));
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 100; ++x) {
    results.push_back(pool.submit(same, x));
    test::work_for(100us);
  }
  for (int x = 0; x < 100; ++x) EXPECT_EQ(results[static_cast<std::size_t>(x)].get(), x);
  int expected = 0;
  for (const int x : pool.imap(same, numbers(0, 300))) {
    EXPECT_EQ(x, expected++);
    test::work_for(100us);
  }
  EXPECT_EQ(expected, 300);
}

TEST_F(IdleTest, InAnEventLoop) {
  Pool pool(with(1, 5ms));
  const pid_t zygote = test::zygote_of(pool);
  pollfd fd{pool.native_handle(), POLLIN, 0};
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(all_leave(zygote));
    const auto result = pool.apply_async(same, round);
    const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
    while (!result.ready() && std::chrono::steady_clock::now() < deadline) {
      (void)::poll(&fd, 1, 1000);
      pool.poll();
    }
    EXPECT_EQ(result.get(0s), round);
  }
}

TEST_F(IdleTest, ATaskThatComesDuringTheFinalizerIsRunByTheSuccessor) {
  Options options = with(1, 1ms);
  options.finalizer = [] {
    state->finalized.add();
    (void)state->gate.reaches(1);
  };
  Pool pool(options);
  EXPECT_TRUE(state->finalized.reaches(1));
  const CallOptions bounded{.timeout = 20s};
  std::jthread opener([&] { state->gate.add(); });
  EXPECT_EQ(pool.map(counted, numbers(0, 10), bounded), numbers(0, 10));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(state->runs[static_cast<std::size_t>(x)], 1);
}

TEST_F(IdleTest, AFinalizerThatCrashesOrThrowsDoesNoHarm) {
  for (const bool throws : {false, true}) {
    Options options = with(2, 1ms);
    options.finalizer = [throws] {
      if (throws) throw std::runtime_error("no");
      test::kills_itself(0);
    };
    Pool pool(options);
    for (int x = 0; x < 10; ++x) {
      EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
      test::pause_a_moment();
      test::pause_a_moment();
    }
  }
}

// What waited at a worker that has left is not taken back from it once more.
TEST_F(IdleTest, CallsMayFailWhileWorkersLeave) {
  const auto fail_at_0 = [](int x) {
    if (x == 0) throw std::runtime_error("no");
    return x;
  };
  Pool pool(with(2, 100us));
  std::mt19937 random(1);
  for (int round = 0; round < 1500; ++round) {
    EXPECT_THROW((void)pool.map(fail_at_0, numbers(0, 50)), std::runtime_error);
    test::work_for(std::chrono::microseconds(80 + random() % 50));
  }
  EXPECT_EQ(pool.apply(same, 8), 8);
}

TEST_F(IdleTest, TasksThatDieAreReplacedAsEver) {
  Pool pool(with(2, 500us));
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    test::work_for(std::chrono::microseconds(100 * round));
    EXPECT_EQ(pool.apply(same, round), round);
  }
}

// Row 131.
TEST_F(IdleTest, APoolWhoseWorkersHaveLeftEndsInOrder) {
  Pool pool(with(2, 1ms));
  EXPECT_TRUE(all_leave(test::zygote_of(pool)));
  pool.close();
  pool.join();
  EXPECT_EQ(state->finalized.value(), state->initialized.value());
}

TEST_F(IdleTest, ResizesWithPlacesThatAreEmpty) {
  Pool pool(with(4, 5ms));
  const pid_t zygote = test::zygote_of(pool);
  EXPECT_TRUE(all_leave(zygote));
  pool.resize(2);
  EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
  EXPECT_TRUE(all_leave(zygote));
  pool.resize(6);
  EXPECT_EQ(pool.map(same, numbers(0, 100)), numbers(0, 100));
  EXPECT_TRUE(all_leave(zygote));
}

TEST_F(IdleTest, ManyThreads) {
  Pool pool(with(3, 100us));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&pool, thread] {
      for (int x = 0; x < 50; ++x) {
        EXPECT_EQ(pool.apply(same, x * thread), x * thread);
        if (x % 10 == thread) test::pause_a_moment();
      }
    });
  }
}

TEST_F(IdleTest, RefusesATimeThatIsNone) {
  for (const auto timeout : {0ns, -1ns}) {
    try {
      const Pool pool(Options{.workers = 1, .idle_timeout = timeout});
      ADD_FAILURE() << "accepted";
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), HasSubstr("Options::idle_timeout"));
    }
  }
}

}  // namespace
}  // namespace bulkhead
