// SPDX-License-Identifier: MIT
//
// Tasks that take longer than they may.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include "worker/memory.hpp"
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;

/// A value that takes its time to come: 20 ms each.
struct Slow {
  static constexpr std::size_t kPieceBytes = 100'000;
  std::size_t pieces = 0;
};

}  // namespace

template <>
struct Codec<Slow> {
  static void encode(const Slow& slow, ByteWriter& out) {
    const std::vector<std::byte> piece(Slow::kPieceBytes);
    out.put(slow.pieces);
    for (std::size_t i = 0; i < slow.pieces; ++i) out.write(piece.data(), piece.size());
  }
  static Slow decode(ByteReader& in) {
    std::vector<std::byte> piece(Slow::kPieceBytes);
    const Slow slow{in.get<std::size_t>()};
    for (std::size_t i = 0; i < slow.pieces; ++i) {
      std::this_thread::sleep_for(20ms);
      in.read(piece.data(), piece.size());
    }
    return slow;
  }
};

namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using TimeoutTest = test::ProcessTest;

struct State {
  test::Tally begun;
  test::Tally gate;
  std::array<std::atomic<std::uint8_t>, 2000> runs;
};
const test::Shared<State> state;

/// For tasks that all take longer.
const CallOptions kShort{.timeout = 100ms};
/// For tasks of which some must not take longer, on a busy machine either.
const CallOptions kAmple{.timeout = 1s};

/// A bug that no test waits for to the end.
int hang(int x) {
  for (;;) ::pause();
  return x;
}

int hang_if_odd(int x) {
  return x % 2 == 1 ? hang(x) : x;
}

void expect_timed_out(const Outcome<int>& outcome, std::uint64_t task) {
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().kind(), FailureKind::timed_out) << outcome.failure().what();
  EXPECT_EQ(outcome.failure().task(), task);
}

// Row 55: timeout-kills.
TEST_F(TimeoutTest, EndsTheTaskAndTheNextOneRuns) {
  Pool pool(1);
  const int before = *test::workers_of(pool).begin();
  const auto outcomes = pool.try_map(hang, {7}, kShort);
  expect_timed_out(outcomes.at(0), 0);
  EXPECT_EQ(outcomes[0].failure().worker_pid(), before);
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("longer than 100 ms"));
  EXPECT_NE(pool.apply([] { return ::getpid(); }), before);
}

TEST_F(TimeoutTest, SaysWhereTheTaskWas) {
  Pool pool(1);
  const auto outcomes = pool.try_map(hang, {7}, kShort);
  const Failure& failure = outcomes.at(0).failure();
  EXPECT_THAT(failure.backtrace(),
              ::testing::Contains(HasSubstr("bulkhead::(anonymous namespace)::hang")));
  const auto in_hang = HasSubstr("in bulkhead::(anonymous namespace)::hang");
  if (test::kThreadSanitizer) {  // whose own pause() may stand before it
    EXPECT_THAT(failure.what(), ::testing::AnyOf(in_hang, HasSubstr("in pause")));
  } else {
    EXPECT_THAT(failure.what(), in_hang);
  }
}

// Row 56: timeout-others-unharmed.
TEST_F(TimeoutTest, HarmsNoOtherTask) {
  Pool pool(2);
  const auto outcomes = pool.try_map(hang_if_odd, test::numbers(0, 6), kAmple);
  for (int x = 0; x < 6; ++x) {
    const Outcome<int>& outcome = outcomes.at(static_cast<std::size_t>(x));
    if (x % 2 == 1) {
      expect_timed_out(outcome, static_cast<std::uint64_t>(x));
    } else {
      EXPECT_EQ(outcome.value_or(-1), x);
    }
  }
  EXPECT_THAT(pool.map([](int x) { return x; }, test::numbers(0, 100)), SizeIs(100));
}

// Not from the beginning of the call, nor from when the task was sent.
TEST_F(TimeoutTest, IsCountedFromTheBeginOfTheTask) {
  Pool pool(1);
  const auto task = [](int x) {
    std::this_thread::sleep_for(50ms);
    return x;
  };
  const CallOptions options{.timeout = 400ms};
  EXPECT_EQ(pool.map(task, test::numbers(0, 20), options), test::numbers(0, 20));
}

TEST_F(TimeoutTest, OfOneAmongManyTinyTasksCostsThatOne) {
  state.reset();
  const auto task = [](int x) {
    ++state->runs[static_cast<std::size_t>(x)];
    return x % 500 == 123 ? hang(x) : x;
  };
  Pool pool(2);
  const auto outcomes = pool.try_map(task, test::numbers(0, 2000), kAmple);
  for (int x = 0; x < 2000; ++x) {
    const Outcome<int>& outcome = outcomes.at(static_cast<std::size_t>(x));
    EXPECT_EQ(state->runs[static_cast<std::size_t>(x)], 1) << x;
    if (x % 500 == 123) {
      expect_timed_out(outcome, static_cast<std::uint64_t>(x));
    } else {
      ASSERT_EQ(outcome.value_or(-1), x) << outcome.failure().what();
    }
  }
}

TEST_F(TimeoutTest, IsThrownByMap) {
  Pool pool(2);
  try {
    (void)pool.map(hang_if_odd, test::numbers(0, 4), kAmple);
    FAIL() << "no failure";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().kind(), FailureKind::timed_out);
    EXPECT_EQ(error.failure().task(), 1U);
  }
}

// Row 102: spin-forever.
TEST_F(TimeoutTest, EndsATaskThatBlocksAndIgnoresSignals) {
  Pool pool(1);
  const auto defy = [](int x) {
    std::signal(SIGTERM, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    for (volatile unsigned spin = 0;;) spin = spin + 1;
    return x;
  };
  const auto outcomes = pool.try_map(defy, {1}, kShort);
  expect_timed_out(outcomes.at(0), 0);
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("SIGKILL, after SIGTERM"));
}

// Row 66: late-answer. What a task answers once it is to be ended comes too late, whatever it is.
TEST_F(TimeoutTest, IsFinalAlthoughTheTaskEndsInTheGrace) {
  state.reset();
  Pool pool(1);
  const auto late = [](int x) {
    std::signal(SIGTERM, [](int) { state->gate.add(); });
    (void)state->gate.reaches(1);
    return x;
  };
  const auto outcomes = pool.try_map(late, {1}, kShort);
  expect_timed_out(outcomes.at(0), 0);
  EXPECT_EQ(pool.apply([](int x) { return x; }, 5), 5);
}

TEST_F(TimeoutTest, EndsWhatTheTaskHasStarted) {
  state.reset();
  Pool pool(1);
  const auto fork_and_hang = [](int x) {
    if (::fork() == 0) {
      state->begun.add(static_cast<std::uint32_t>(::getpid()));
      hang(x);
    }
    (void)state->begun.reaches(1);
    return hang(x);
  };
  expect_timed_out(pool.try_map(fork_and_hang, {1}, CallOptions{.timeout = 500ms}).at(0), 0);
  const auto child = static_cast<pid_t>(state->begun.value());
  ASSERT_GT(child, 0);
  EXPECT_TRUE(test::eventually([child] { return ::kill(child, 0) != 0; }));
}

// Row 59: timeout-starved-monitor.
TEST_F(TimeoutTest, FiresThoughTasksUseAllCpus) {
  const int workers = 2 * static_cast<int>(std::thread::hardware_concurrency());
  Pool pool(workers);
  const auto spin = [](int x) {
    for (volatile unsigned turn = 0;;) turn = turn + 1;
    return x;
  };
  const auto outcomes = pool.try_map(spin, test::numbers(0, workers), kShort);
  EXPECT_THAT(outcomes, SizeIs(workers));
  for (int x = 0; x < workers; ++x) {
    expect_timed_out(outcomes[static_cast<std::size_t>(x)], static_cast<std::uint64_t>(x));
  }
}

// Tasks that end at about their limit: each has one outcome, and none runs twice.
TEST_F(TimeoutTest, AtTheVeryEndOfATaskGivesOneOutcome) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    ++state->runs[static_cast<std::size_t>(x)];
    std::this_thread::sleep_for(std::chrono::microseconds(4000 + 20 * x));
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 100), CallOptions{.timeout = 5ms});
  ASSERT_THAT(outcomes, SizeIs(100));
  for (int x = 0; x < 100; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    const int runs = state->runs[static_cast<std::size_t>(x)];
    if (outcome) {
      EXPECT_EQ(*outcome, x);
      EXPECT_EQ(runs, 1) << x;
    } else {
      EXPECT_LE(runs, 1) << x;  // none: where its worker had no CPU for as long as that
      expect_timed_out(outcome, static_cast<std::uint64_t>(x));
    }
  }
}

TEST_F(TimeoutTest, HoldsForOneCallAndNotForTheNext) {
  Pool pool(1);
  const auto task = [](int x) {
    if (x == 0) hang(x);
    std::this_thread::sleep_for(2 * *kShort.timeout);
    return x;
  };
  EXPECT_FALSE(pool.try_map(task, {0}, kShort).at(0));
  EXPECT_TRUE(pool.try_map(task, {1}).at(0));
  EXPECT_FALSE(pool.try_map(task, {0}, kShort).at(0));
}

TEST_F(TimeoutTest, IsKnownToTheTask) {
  Pool pool(1);
  const auto time_left = [] {
    const auto deadline = this_task::deadline();
    const auto now = std::chrono::steady_clock::now();
    return deadline ? std::chrono::duration<double>(*deadline - now).count() : -1.0;
  };
  EXPECT_EQ(pool.apply(time_left), -1.0);
  const auto of_a_run = [](int) {
    return std::chrono::duration<double>(*this_task::deadline() - std::chrono::steady_clock::now())
        .count();
  };
  for (const double left :
       pool.map(of_a_run, test::numbers(0, 100), CallOptions{.timeout = std::chrono::hours{1}})) {
    EXPECT_GT(left, 3000.0);
    EXPECT_LE(left, 3600.0);
  }
  EXPECT_EQ(pool.apply(time_left), -1.0);
}

TEST_F(TimeoutTest, IsNotCountedWhileTheArgumentComes) {
  Pool pool(Options{.workers = 1, .ring_bytes = 4096});
  const auto has_time = [](const Slow&) {
    return *this_task::deadline() > std::chrono::steady_clock::now();
  };
  const CallOptions options{.timeout = 400ms};
  EXPECT_THAT(pool.map(has_time, std::vector<Slow>{{50}}, options), Each(true));
}

/// The words of the worker's outbox.
bulkhead::detail::OutboxWords& words() {
  return *reinterpret_cast<bulkhead::detail::OutboxWords*>(test::writable_outbox().data());
}

TEST_F(TimeoutTest, HoldsForATaskThatHasDamagedItsClock) {
  using Limits = std::numeric_limits<std::int64_t>;
  const auto damage = [](std::int64_t lie) {
    words().began_at = lie;
    (void)this_task::deadline();
    return hang(1);
  };
  for (const std::int64_t lie : {Limits::max(), Limits::min(), std::int64_t{0}}) {
    Pool pool(1);
    expect_timed_out(pool.try_map(damage, {lie}, kShort).at(0), 0);
  }
}

TEST_F(TimeoutTest, HoldsForATaskThatDeniesHavingBegun) {
  Pool pool(2);
  const auto deny = [](int x) {
    for (;;) words().started = x == 0 ? 0 : ~std::uint64_t{0};
    return x;
  };
  const auto outcomes = pool.try_map(deny, {0, 1}, kShort);
  EXPECT_FALSE(outcomes.at(0));
  EXPECT_FALSE(outcomes.at(1));
  EXPECT_EQ(pool.apply([](int x) { return x; }, 5), 5);
}

TEST_F(TimeoutTest, HoldsForForkMapToo) {
  const int mark = 3;
  const auto task = [&](int x) { return x == mark ? hang(x) : x; };
  const auto outcomes = try_fork_map(task, test::numbers(0, 6), Options{.workers = 2}, kAmple);
  for (int x = 0; x < 6; ++x) {
    EXPECT_EQ(outcomes.at(static_cast<std::size_t>(x)).has_value(), x != mark);
  }
}

TEST_F(TimeoutTest, ThatIsNotPositiveIsRefused) {
  Pool pool(1);
  for (const auto timeout : {0ms, -5ms}) {
    try {
      (void)pool.map(hang, {1}, CallOptions{.timeout = timeout});
      FAIL() << "accepted";
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), HasSubstr("CallOptions::timeout"));
    }
  }
}

TEST_F(TimeoutTest, OfCenturiesIsNone) {
  Pool pool(1);
  const CallOptions options{.timeout = std::chrono::nanoseconds::max()};
  EXPECT_THAT(pool.map([](int) { return 1; }, test::numbers(0, 100), options), Each(1));
}

TEST_F(TimeoutTest, EndsATaskThatHasLeftItsProcessGroup) {
  const auto leave = [](int x) {
    if (x != 1) return x;
    EXPECT_EQ(::setpgid(0, ::getpgid(::getppid())), 0);
    for (;;) ::pause();
  };
  Pool pool(1);
  const auto outcomes = pool.try_map(leave, {0, 1, 2}, CallOptions{.timeout = 200ms});
  EXPECT_TRUE(outcomes.at(0));
  EXPECT_EQ(outcomes.at(1).failure().kind(), FailureKind::timed_out);
  EXPECT_TRUE(outcomes.at(2));
}

}  // namespace

}  // namespace bulkhead
