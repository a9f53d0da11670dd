// SPDX-License-Identifier: MIT
//
// Processes of a pool that are killed at each system call of their lives, before it and after it,
// and between some of their instructions. The host of each pool is a fork of the test, and the
// victim is led to its point by ptrace(2).
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/tracee.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <poll.h>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::Fork;
using test::Tracee;
using ::testing::HasSubstr;
using ::testing::SizeIs;

enum class Victim : std::uint8_t { worker, spare, zygote, host };

/// For the points of one test; those that are left when it is over are left out.
constexpr auto kTime = test::kSanitized ? 8s : 40s;
constexpr int kSamples = test::kSanitized ? 20 : 100;
/// A host that takes longer than this hangs.
constexpr unsigned kHangs = 60;
constexpr int kTasks = 64;

struct State {
  test::Tally go;  ///< the host is traced
  test::Tally initialized;
  test::Tally finalized;
  std::array<std::atomic<std::uint8_t>, kTasks> runs;  ///< by task
};
const test::Shared<State> state;

// ---------------------------------------------------------------------------------------------------
// What a host does

using Text = std::pair<int, std::string>;

void note_run(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
}
int square(int x) {
  note_run(x);
  return x * x;
}
int throw_if_odd(int x) {
  note_run(x);
  if (x % 2 != 0) throw std::out_of_range("odd");
  return x * x;
}
int add(int a, int x) {
  note_run(x);
  return a + x;
}
Text give_back(const Text& text) {
  note_run(text.first);
  return text;
}
Broadcast<double[]> lend(int x) {
  note_run(x);
  return broadcast(std::vector<double>(1000, x));
}
std::vector<Text> texts(int first, int count, std::size_t size) {
  std::vector<Text> all;
  for (int x = first; x < first + count; ++x) {
    all.emplace_back(x, std::string(size, static_cast<char>('A' + x)));
  }
  return all;
}

/// One that makes a pool, asks it for results of all sorts, and closes it. Each task has its own
/// number in the life of the host.
class Host {
 public:
  explicit Host(Victim victim) : victim_(victim) {}

  void live() {
    try {
      Pool pool(Options{.workers = 1,
                        .initializer = [] { state->initialized.add(); },
                        .finalizer = [] { state->finalized.add(); },
                        .ring_bytes = 4096});
      if (victim_ == Victim::spare) use_up_first_worker(pool);
      use(pool);
      if (victim_ == Victim::host) lose_tasks(pool);
      pool.close();
      pool.join();
      EXPECT_LE(state->finalized.value(), 1U);
    } catch (const BrokenPool& broken) {
      EXPECT_EQ(victim_, Victim::zygote) << broken.what();
    } catch (const SystemError& refused) {
      EXPECT_EQ(victim_, Victim::zygote) << refused.what();
    }
    EXPECT_LE(lost_, victim_ == Victim::zygote ? kTasks : 1) << "a death has cost several tasks";
  }

 private:
  void use(Pool& pool) {
    const auto squared = [](int x) { return x * x; };
    expect(pool.try_map(square, test::numbers(0, 8)), 0, squared);
    expect_texts(pool, 8, 4, 100);
    expect_texts(pool, 12, 2, 20'000);  // in pieces, both ways
    expect_odd_to_throw(pool.try_map(throw_if_odd, test::numbers(14, 18)));
    expect(pool.try_map(partial(add, 1000), test::numbers(18, 22)), 18,
           [](int x) { return 1000 + x; });
    expect_loans(pool.try_map(lend, test::numbers(22, 24)));
    const CallOptions timed{.timeout = 60s};
    expect(pool.try_map(square, test::numbers(24, 28), timed), 24, squared);
    const CallOptions patient{.retries = {.crashes = 1}};
    const auto outcomes = pool.try_map(square, test::numbers(28, 32), patient);
    for (const auto& outcome : outcomes) EXPECT_TRUE(outcome || victim_ == Victim::zygote);
  }

  /// So that there is a spare one, and it takes the place.
  void use_up_first_worker(Pool& pool) {
    pool.apply(+[] { ::poll(nullptr, 0, 25); });
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  }

  void lose_tasks(Pool& pool) {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    // A task that heeds this leaves no stack, whose names the host would look up by 5,000 calls.
    const auto hang = [](int) {
      while (!this_task::stop_requested()) test::pause_a_moment();
    };
    EXPECT_THROW(pool.map(hang, {1}, CallOptions{.timeout = 5ms}), TimeoutError);
    Pool left_open(1);
    EXPECT_EQ(left_open.apply(square, 32), 32 * 32);
  }

  void expect_texts(Pool& pool, int first, int count, std::size_t size) {
    const std::vector<Text> all = texts(first, count, size);
    expect(pool.try_map(give_back, all), first,
           [&](int x) { return all[static_cast<std::size_t>(x - first)]; });
  }
  void expect_loans(const std::vector<Outcome<Broadcast<double[]>>>& outcomes) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const int x = 22 + static_cast<int>(i);
      if (!is_value(outcomes[i], i, x)) continue;
      EXPECT_THAT(*outcomes[i], SizeIs(1000));
      EXPECT_EQ(outcomes[i]->data()[999], x);
    }
  }
  void expect_odd_to_throw(const std::vector<Outcome<int>>& outcomes) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const int x = 14 + static_cast<int>(i);
      const bool threw = !outcomes[i] && outcomes[i].failure().kind() == FailureKind::exception;
      EXPECT_FALSE(outcomes[i] && x % 2 != 0) << x;
      EXPECT_TRUE(!threw || x % 2 != 0) << outcomes[i].failure().what();
      if (!threw) is_value(outcomes[i], i, x);
    }
  }
  template <class R, class Expected>
  void expect(const std::vector<Outcome<R>>& outcomes, int first, Expected expected) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const int x = first + static_cast<int>(i);
      if (!is_value(outcomes[i], i, x)) continue;
      EXPECT_EQ(*outcomes[i], expected(x));
    }
  }

  /// The outcome of task `x`, at `index` of its call: a value, or else the loss of its worker.
  template <class R>
  bool is_value(const Outcome<R>& outcome, std::size_t index, int x) {
    const int runs = state->runs[static_cast<std::size_t>(x)];
    if (outcome) {
      EXPECT_EQ(runs, 1) << "task " << x;
      return true;
    }
    const Failure& failure = outcome.failure();
    ++lost_;
    EXPECT_LE(runs, 1) << failure.what();
    EXPECT_EQ(failure.task(), index) << failure.what();
    EXPECT_TRUE(victim_ == Victim::zygote || is_death(failure)) << failure.what();
    return false;
  }

  static bool is_death(const Failure& failure) {
    return failure.kind() == FailureKind::crashed && failure.signal() == SIGKILL;
  }

  Victim victim_;
  int lost_ = 0;
};

/// A zygote that is traced has ended, for its parent to see, before its parent can reap it: the
/// pool does not wait for that.
void reap_what_was_traced() {
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

/// The whole life of the process that hosts the pool.
void host(Victim victim) {
  ::alarm(kHangs);
  EXPECT_TRUE(state->go.reaches(1));
  if (victim == Victim::host) return Host(victim).live();  // it is gone before it could look
  const test::Footprint before = test::Footprint::now();
  Host(victim).live();
  if (victim == Victim::zygote) reap_what_was_traced();
  test::expect_unchanged(before);
}

// ---------------------------------------------------------------------------------------------------
// Leading a victim to its point

/// After so many entries of system calls and exits from them, so many instructions.
struct Point {
  std::uint32_t stops = 0;
  std::uint32_t instructions = 0;
};

Tracee find(Victim victim, Tracee host) {
  if (victim == Victim::host) return host;
  Tracee zygote = std::move(host).next_child();
  if (victim == Victim::zygote) return zygote;
  if (victim == Victim::worker) return std::move(zygote).next_child();
  { const Tracee first = zygote.next_child_of_many(); }
  return std::move(zygote).next_child();
}

/// False if it ends before.
bool lead_to(Point point, Tracee& victim) {
  for (; point.stops != 0; --point.stops) {
    if (!victim.reach_system_call()) return false;
  }
  return victim.step(point.instructions);
}

/// 1 to `count`, so that not only the first of them are tried where time is short.
std::vector<std::uint32_t> shuffled(std::uint32_t count) {
  std::vector<std::uint32_t> stops = test::numbers(1U, count + 1);
  std::shuffle(stops.begin(), stops.end(), std::minstd_rand(1));
  return stops;
}

class KillPointsTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    const std::string refusal = test::why_tracing_is_refused();
    if (!refusal.empty()) GTEST_SKIP() << refusal;
  }

  /// Lets a host and its victim live until the victim stands at the point, and kills it there, if
  /// it gets there. True if it did.
  static bool kill_at(Victim whom, Point point) {
    SCOPED_TRACE("killed after " + std::to_string(point.stops) + " stops and " +
                 std::to_string(point.instructions) + " instructions");
    state.reset();
    const std::set<int> siblings = test::children_of(::getpid());
    Fork process([whom] { host(whom); });
    Tracee traced_host(process.process().pid());
    state->go.add();
    Tracee victim = find(whom, std::move(traced_host));
    const bool there = lead_to(point, victim);
    const std::string position = there ? victim.position() : "its end";
    victim.kill();
    if (whom == Victim::host) {
      EXPECT_TRUE(there || victim.end_status() == 0) << "see above";
      test::expect_orphans_end(siblings, test::soon());
    } else {
      EXPECT_EQ(process.wait(), 0) << "at " << position << ", see above";
    }
    return there;
  }

  /// How many points there are with no instructions: in a life that is neither the longest nor the
  /// shortest of three.
  static std::uint32_t count_stops(Victim whom) {
    std::array<std::uint32_t, 3> counts{};
    std::ranges::generate(counts, [whom] { return count_stops_of_one(whom); });
    std::ranges::sort(counts);
    return counts[1];
  }
  static std::uint32_t count_stops_of_one(Victim whom) {
    state.reset();
    Fork process([whom] { host(whom); });
    Tracee traced_host(process.process().pid());
    state->go.add();
    Tracee victim = find(whom, std::move(traced_host));
    std::uint32_t stops = 0;
    while (victim.reach_system_call()) ++stops;
    return stops;
  }

  static void kill_at_each_system_call(Victim whom) {
    const std::vector<std::uint32_t> stops = shuffled(count_stops(whom));
    const auto end = steady_clock::now() + kTime;
    std::uint32_t tried = 0;
    std::uint32_t killed = 0;
    for (const std::uint32_t stop : stops) {
      if (steady_clock::now() >= end || HasFailure()) break;
      ++tried;
      killed += kill_at(whom, {stop, 0}) ? 1 : 0;
    }
    std::printf("killed at %u of %zu stops at system calls\n", killed, stops.size());
    // Some lives are a little shorter than that.
    EXPECT_GE(killed, tried * 3 / 4);
  }

  /// Mostly soon after a system call, as that is where the most differs.
  static void kill_at_some_instructions(Victim whom) {
    const int seed = ::testing::UnitTest::GetInstance()->random_seed();
    std::minstd_rand random(static_cast<unsigned>(seed));
    std::uniform_int_distribution<std::uint32_t> stop(1, count_stops(whom));
    std::uniform_real_distribution<double> logarithm(0, std::log(20'000));
    const auto end = steady_clock::now() + kTime;
    int killed = 0;
    for (int i = 0; i < kSamples && steady_clock::now() < end && !HasFailure(); ++i) {
      const auto instructions = static_cast<std::uint32_t>(std::exp(logarithm(random)));
      killed += kill_at(whom, {stop(random), instructions}) ? 1 : 0;
    }
    std::printf("--gtest_random_seed=%d: killed between instructions %d times\n", seed, killed);
    EXPECT_GE(killed, 1);
  }
};

TEST_F(KillPointsTest, AWorkerAtAnySystemCallCostsOneTaskAtMost) {
  kill_at_each_system_call(Victim::worker);
}
TEST_F(KillPointsTest, AWorkerAtAnyInstructionCostsOneTaskAtMost) {
  kill_at_some_instructions(Victim::worker);
}

TEST_F(KillPointsTest, ASpareWorkerAtAnySystemCallCostsOneTaskAtMost) {
  kill_at_each_system_call(Victim::spare);
}

TEST_F(KillPointsTest, AZygoteAtAnySystemCallEndsThePoolAndHangsNobody) {
  kill_at_each_system_call(Victim::zygote);
}

// Row 155: parent-kill9-shm.
TEST_F(KillPointsTest, AHostAtAnySystemCallTakesAllItsProcessesWithIt) {
  kill_at_each_system_call(Victim::host);
}
TEST_F(KillPointsTest, AHostAtAnyInstructionTakesAllItsProcessesWithIt) {
  kill_at_some_instructions(Victim::host);
}

/// Where a worker stands when the initializer has run.
std::uint32_t stops_of_start() {
  state.reset();
  Fork process([] { host(Victim::worker); });
  Tracee traced_host(process.process().pid());
  state->go.add();
  Tracee worker = find(Victim::worker, std::move(traced_host));
  std::uint32_t stops = 0;
  while (state->initialized.value() == 0 && worker.reach_system_call()) ++stops;
  return stops;
}

TEST_F(KillPointsTest, EachWorkerAtTheSamePointOfItsStartBreaksThePoolWithThatReason) {
  const auto host_without_workers = [] {
    ::alarm(kHangs);
    EXPECT_TRUE(state->go.reaches(1));
    const test::Footprint before = test::Footprint::now();
    try {
      Pool pool(Options{.workers = 1, .initializer = [] { state->initialized.add(); }});
      (void)pool.apply(square, 1);
      ADD_FAILURE() << "no worker can have done that";
    } catch (const BrokenPool& broken) {
      EXPECT_THAT(broken.what(), HasSubstr("a worker died before it was ready"));
    }
    reap_what_was_traced();
    test::expect_unchanged(before);
  };
  const auto end = steady_clock::now() + kTime;
  for (const std::uint32_t stops : shuffled(stops_of_start())) {
    if (steady_clock::now() >= end || HasFailure()) break;
    SCOPED_TRACE("killed after " + std::to_string(stops) + " stops");
    state.reset();
    Fork process(host_without_workers);
    Tracee traced_host(process.process().pid());
    state->go.add();
    Tracee zygote = std::move(traced_host).next_child();
    for (;;) {
      Tracee worker = zygote.next_child_of_many();
      if (worker.has_ended()) break;  // and so has the zygote
      EXPECT_TRUE(lead_to({stops, 0}, worker));
      worker.kill();
    }
    EXPECT_EQ(process.wait(), 0);
  }
}

// The zygote is held between the fork of a successor and the word of it.
TEST_F(KillPointsTest, AWorkerWhoseZygoteIsSlowToTellOfItIsKnownByItsNumber) {
  state.reset();
  Fork process([] {
    ::alarm(kHangs);
    EXPECT_TRUE(state->go.reaches(1));
    Pool pool(1);
    // Without a call, in which a spare might be forked.
    const pid_t zygote = *test::children_of(::getpid()).begin();
    for (const int worker : test::children_of(zygote)) test::kill_child_of(zygote, worker);
    EXPECT_TRUE(test::eventually([&] { return test::children_of(zygote).empty(); }));
    const auto outcomes = pool.try_map(throw_if_odd, {1});
    EXPECT_GT(outcomes.at(0).failure().worker_pid(), 0) << outcomes[0].failure().what();
    state->finalized.add();
  });
  Tracee traced_host(process.process().pid());
  state->go.add();
  {
    Tracee zygote = std::move(traced_host).next_child();
    for (int worker = 0; worker < 2; ++worker) (void)zygote.next_child_of_many();
    EXPECT_TRUE(state->finalized.reaches(1));
  }
  EXPECT_EQ(process.wait(), 0);
}

}  // namespace
}  // namespace bulkhead
