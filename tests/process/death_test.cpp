// SPDX-License-Identifier: MIT
//
// Workers that die, at each point of a task's life: one death costs one task.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <ostream>
#include <pthread.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::only_at;
using test::workers_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using DeathTest = test::ProcessTest;

constexpr std::size_t kMaxParties = 13;

struct State {
  test::Tally begun;
  test::Tally done;
  test::Tally gate;
  std::array<std::atomic<pid_t>, kMaxParties> pids;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

/// Waits until a process that was killed cannot be seen any more.
void await_end(pid_t pid) {
  EXPECT_TRUE(test::eventually([pid] { return ::kill(pid, 0) != 0; })) << pid << " still there";
}

// ---------------------------------------------------------------------------------------------
// Ends of all kinds.

struct End {
  const char* name;
  int (*task)(int);  ///< ends its worker at element 3
  int signal;
  int exit_code;
  const char* text;
};

void PrintTo(const End& end, std::ostream* out) {
  *out << end.name;
}

class EndTest : public test::ProcessTest, public ::testing::WithParamInterface<End> {};

constexpr std::array kEnds{
    End{"SigKill", only_at<3, test::kills_itself>, SIGKILL, -1, "want of memory"},
    End{"SigTerm", only_at<3, test::terminates_itself>, SIGTERM, -1, "SIGTERM"},
    End{"SigSegv", only_at<3, test::segfaults>, SIGSEGV, -1, "SIGSEGV at address 0x10"},
    End{"WildCall", only_at<3, test::calls_nowhere>, SIGSEGV, -1, "SIGSEGV at address 0x0"},
    End{"SigBus", only_at<3, test::reads_past_the_end>, SIGBUS, -1, "SIGBUS"},
    End{"SigFpe", only_at<3, test::divides_by_zero>, SIGFPE, -1,
        test::kSanitized ? "SIGFPE" : "SIGFPE (integer division by zero)"},
    End{"SigIll", only_at<3, test::runs_bad_code>, SIGILL, -1, "SIGILL"},
    End{"SigAbrt", only_at<3, test::aborts>, SIGABRT, -1, "SIGABRT"},
    End{"Assertion", only_at<3, test::fails_an_assertion>, SIGABRT, -1, "the sky is falling"},
    End{"Terminate", only_at<3, test::throws_where_none_may>, SIGABRT, -1, "nobody may catch 3"},
    End{"StackOverflow", only_at<3, test::overflows_its_stack>, SIGSEGV, -1,
        test::kSanitized ? "SIGSEGV" : "(stack overflow)"},
    End{"HugeFrame", only_at<3, test::wants_a_huge_frame>, SIGSEGV, -1, "SIGSEGV"},
    End{"ExitCode0", only_at<3, test::leaves_quietly>, 0, 0, "exited with code 0"},
    End{"ExitCode1", only_at<3, test::leaves_with_code_one>, 0, 1, "exited with code 1"},
    End{"ExitCode42", only_at<3, test::exits_with_code_42>, 0, 42, "exited with code 42"},
};

INSTANTIATE_TEST_SUITE_P(Ends, EndTest, ::testing::ValuesIn(kEnds),
                         [](const auto& end) { return std::string(end.param.name); });

// Rows 71, 72, 73 and 85: die-running-kill, -segv, -exit0; die-diagnosis.
TEST_P(EndTest, CostsThatTaskOnlyAndIsNamed) {
  Pool pool(2);
  const std::set<int> workers = workers_of(pool);
  const auto outcomes = pool.try_map(GetParam().task, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x == 3 ? -1 : x);
  }
  ASSERT_FALSE(outcomes[3]);
  const Failure& failure = outcomes[3].failure();
  EXPECT_EQ(failure.kind(), FailureKind::crashed);
  EXPECT_EQ(failure.task(), 3U);
  EXPECT_EQ(failure.signal(), GetParam().signal);
  EXPECT_EQ(failure.exit_code(), GetParam().exit_code);
  EXPECT_TRUE(workers.contains(failure.worker_pid())) << failure.worker_pid();
  EXPECT_THAT(failure.what(), HasSubstr("task 3 crashed"));
  EXPECT_THAT(failure.what(), HasSubstr(GetParam().text));
  EXPECT_THAT(failure.what(), HasSubstr("worker pid " + std::to_string(failure.worker_pid())));
  EXPECT_THAT(failure.what(), HasSubstr("attempt 1"));
  EXPECT_THROW((void)outcomes[3].value(), CrashError);
  EXPECT_THAT(pool.map(same, std::vector{1, 2}), ElementsAre(1, 2)) << "the pool goes on";
}

TEST_P(EndTest, IsThrownByMapAndApply) {
  Pool pool(2);
  EXPECT_THROW((void)pool.map(GetParam().task, test::numbers(0, 10)), CrashError);
  EXPECT_THROW((void)pool.apply(GetParam().task, 3), CrashError);
  EXPECT_EQ(pool.apply(GetParam().task, 4), 4);
}

TEST_F(DeathTest, ATaskThatEndsItsOnlyThreadFails) {
  Pool pool(2);
  const auto outcomes = pool.try_map(only_at<3, test::ends_its_only_thread>, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x == 3 ? -1 : x);
  }
}

TEST_F(DeathTest, ACrashIsTracedToTheFunction) {
  Pool pool(1);
  const auto outcomes = pool.try_map(test::segfaults, std::vector{0});
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("test::segfaults"));
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("victims.cpp"));
  ASSERT_FALSE(outcomes[0].failure().backtrace().empty());
  EXPECT_THAT(outcomes[0].failure().backtrace()[0], HasSubstr("segfaults"));
}

// ---------------------------------------------------------------------------------------------
// Before the task.

// Row 67: die-idle.
TEST_F(DeathTest, KillingAnIdleWorkerCostsNothing) {
  Pool pool(4);
  const std::set<int> first = workers_of(pool);
  for (const int pid : first) {
    ::kill(pid, SIGKILL);
    EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
    await_end(pid);
  }
  const auto replaced = [&] {
    EXPECT_EQ(pool.apply(same, 1), 1);
    return workers_of(pool).size() == 4;
  };
  EXPECT_TRUE(test::eventually(replaced)) << workers_of(pool).size() << " workers";
  for (const int pid : workers_of(pool)) EXPECT_FALSE(first.contains(pid));
}

// Row 68: die-idle-all.
TEST_F(DeathTest, KillingAllIdleWorkersCostsNothing) {
  Pool pool(4);
  for (int round = 0; round < 5; ++round) {
    for (const int pid : workers_of(pool)) ::kill(pid, SIGKILL);
    const std::vector<int> results = pool.map(same, test::numbers(0, 100));
    ASSERT_THAT(results, SizeIs(100));
    EXPECT_EQ(std::accumulate(results.begin(), results.end(), 0), 4950);
  }
}

enum class Manner : std::uint8_t { lives, is_killed, segfaults, leaves };

void die(Manner manner) {
  if (manner == Manner::is_killed) test::kills_itself(0);
  if (manner == Manner::segfaults) test::segfaults(0);
  if (manner == Manner::leaves) ::_exit(0);
}

/// Kills the worker that decodes it, half-way.
struct DiesDecoded {
  Manner manner = Manner::lives;
  std::string bytes;
};

/// Kills the worker that encodes it, half-way.
struct DiesEncoded {
  Manner manner = Manner::lives;
  std::string bytes;
};

/// Kills the worker that destroys it.
class DiesDestroyed {
 public:
  DiesDestroyed() = default;
  explicit DiesDestroyed(Manner manner) : manner_(manner) {}
  DiesDestroyed(const DiesDestroyed&) = default;
  DiesDestroyed& operator=(const DiesDestroyed&) = default;
  ~DiesDestroyed() {
    if (::getpid() != home_) die(manner_);
  }
  int operator()(int x) const { return x; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(manner_);
  }

 private:
  Manner manner_ = Manner::lives;
  static inline const pid_t home_ = ::getpid();
};

}  // namespace

template <>
struct Codec<DiesDecoded> {
  static void encode(const DiesDecoded& value, ByteWriter& out) {
    out.put(value.manner);
    Codec<std::string>::encode(value.bytes, out);
  }
  static DiesDecoded decode(ByteReader& in) {
    DiesDecoded value;
    value.manner = in.get<Manner>();
    const auto size = in.get<std::uint64_t>();
    value.bytes.resize(size);
    in.read(value.bytes.data(), size / 2);
    die(value.manner);
    in.read(value.bytes.data() + size / 2, size - size / 2);
    return value;
  }
};

template <>
struct Codec<DiesEncoded> {
  static void encode(const DiesEncoded& value, ByteWriter& out) {
    out.put(value.manner);
    out.put(std::uint64_t{value.bytes.size()});
    out.write(value.bytes.data(), value.bytes.size() / 2);
    die(value.manner);
    out.write(value.bytes.data() + value.bytes.size() / 2,
              value.bytes.size() - value.bytes.size() / 2);
  }
  static DiesEncoded decode(ByteReader& in) {
    DiesEncoded value;
    value.manner = in.get<Manner>();
    value.bytes = Codec<std::string>::decode(in);
    return value;
  }
};

namespace {

/// A death on the way, with values that fit into a ring and values that stream through it.
class DeathOnTheWayTest : public test::ProcessTest,
                          public ::testing::WithParamInterface<std::size_t> {
 protected:
  template <class Outcomes>
  static void expect_three_deaths(const Outcomes& outcomes) {
    ASSERT_THAT(outcomes, SizeIs(20));
    for (std::size_t i = 0; i < 20; ++i) {
      const bool dies = i == 5 || i == 6 || i == 13;
      ASSERT_EQ(outcomes[i].has_value(), !dies) << i;
      if (!dies) continue;
      EXPECT_EQ(outcomes[i].failure().kind(), FailureKind::crashed);
      EXPECT_EQ(outcomes[i].failure().task(), i);
    }
    EXPECT_EQ(outcomes[5].failure().signal(), SIGKILL);
    EXPECT_EQ(outcomes[6].failure().signal(), SIGSEGV);
    EXPECT_EQ(outcomes[13].failure().exit_code(), 0);
  }
  static Manner manner_of(std::size_t i) {
    if (i == 5) return Manner::is_killed;
    if (i == 6) return Manner::segfaults;
    return i == 13 ? Manner::leaves : Manner::lives;
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, DeathOnTheWayTest, ::testing::Values(10, 3000, 4'000'000));

// Rows 69 and 70: die-receiving, die-deser. The rest of a long argument is still on its way.
TEST_P(DeathOnTheWayTest, WhileItsArgumentIsDecodedCostsTheTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  std::vector<DiesDecoded> arguments;
  for (std::size_t i = 0; i < 20; ++i) {
    arguments.push_back({manner_of(i), std::string(GetParam(), 'a')});
  }
  expect_three_deaths(
      pool.try_map([](const DiesDecoded& value) { return value.bytes.size(); }, arguments));
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Rows 74 and 75: die-ser, die-sending. Half of a long result has been taken in already.
TEST_P(DeathOnTheWayTest, WhileItsResultIsEncodedCostsTheTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const auto make = partial(
      [](std::size_t size, std::size_t i) {
        return DiesEncoded{manner_of(i), std::string(size, 'r')};
      },
      GetParam());
  const auto outcomes = pool.try_map(make, test::numbers(std::size_t{0}, std::size_t{20}));
  expect_three_deaths(outcomes);
  for (const auto& outcome : outcomes) {
    EXPECT_TRUE(!outcome || outcome->bytes == std::string(GetParam(), 'r'));
  }
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Row 76: die-after-send. Arguments and results are destroyed before the answer is given, so that a
// crash there has a task to be told by.
TEST_F(DeathTest, WhileItsArgumentIsDestroyedCostsTheTask) {
  Pool pool(2);
  std::vector<DiesDestroyed> arguments(20);
  arguments[7] = DiesDestroyed(Manner::segfaults);
  const auto outcomes = pool.try_map([](const DiesDestroyed&) { return 1; }, arguments);
  ASSERT_THAT(outcomes, SizeIs(20));
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(outcomes[i].has_value(), i != 7) << i;
}

// Row 76: die-after-send. Here all answers have been given.
TEST_F(DeathTest, WhileTheCallableIsDestroyedCostsNothing) {
  Pool pool(2);
  for (const Manner manner : {Manner::is_killed, Manner::segfaults, Manner::leaves}) {
    EXPECT_THAT(pool.map(DiesDestroyed(manner), test::numbers(0, 50)), SizeIs(50));
    EXPECT_THAT(pool.map(same, test::numbers(0, 50)), SizeIs(50));
  }
}

/// The scheduling state of a process: 'R', 'S', ...
char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  return name_end == std::string::npos ? ' ' : line[name_end + 2];
}

// Rows 75 and 87: die-sending, ring-full-kill. While the coordinator is held in the progress
// callback, a worker fills its ring and waits for room; there it is killed.
TEST_F(DeathTest, WhileItWaitsForRoomCostsTheTask) {
  state.reset();
  Pool pool(3);
  const auto task = [](int x) {
    if (x != 0) return std::string("small");
    state->pids[0] = ::getpid();
    state->begun.add();
    if (!state->gate.reaches(1)) return std::string("nobody opened the gate");
    std::string large(32'000'000, 'l');
    state->done.add();
    return large;
  };
  bool killed = false;
  const CallOptions options{.progress = [&](const Progress&) {
    if (std::exchange(killed, true)) return;
    EXPECT_TRUE(state->begun.reaches(1));
    state->gate.add();
    EXPECT_TRUE(state->done.reaches(1));
    const pid_t victim = state->pids[0];
    EXPECT_TRUE(test::eventually([&] { return state_of(victim) == 'S'; })) << "it does not wait";
    ::kill(victim, SIGKILL);
  }};
  const auto outcomes = pool.try_map(task, test::numbers(0, 7), options);
  ASSERT_THAT(outcomes, SizeIs(7));
  ASSERT_FALSE(outcomes[0]);
  EXPECT_EQ(outcomes[0].failure().signal(), SIGKILL);
  for (std::size_t i = 1; i < 7; ++i) EXPECT_EQ(*outcomes[i], "small");
}

// Row 78: die-shutdown.
TEST_F(DeathTest, DuringAnOrderlyEndIsToldAndHoldsUpNothing) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    state->begun.add();
    if (!state->gate.reaches(1)) return -1;
    return only_at<1, test::kills_itself>(x);
  };
  std::vector<Outcome<int>> outcomes;
  std::thread caller([&] { outcomes = pool.try_map(task, std::vector{0, 1}); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.close();
  std::thread joiner([&] { pool.join(); });
  state->gate.add();
  caller.join();
  joiner.join();
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_EQ(*outcomes[0], 0);
  EXPECT_EQ(outcomes[1].failure().signal(), SIGKILL);
}

// Row 80: die-many-at-once.
TEST_F(DeathTest, WorkersThatKillEachOtherHangNobody) {
  for (const int parties : {1, 2, 5, static_cast<int>(kMaxParties)}) {
    state.reset();
    const auto everyone = static_cast<std::uint32_t>(parties);
    Pool pool(parties);
    const auto task = [](std::uint32_t all, std::uint32_t x) {
      state->pids[x] = ::getpid();
      state->begun.add();
      if (!state->begun.reaches(all)) return false;
      ::kill(state->pids[(x + 1) % all], SIGKILL);
      return true;
    };
    const auto outcomes = pool.try_map(partial(task, everyone), test::numbers(0U, everyone));
    ASSERT_THAT(outcomes, SizeIs(everyone));
    for (const auto& outcome : outcomes) {
      if (outcome) {
        EXPECT_TRUE(*outcome);
      } else {
        EXPECT_EQ(outcome.failure().signal(), SIGKILL) << outcome.failure().what();
      }
    }
    EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  }
}

// Row 81: die-bystanders.
TEST_F(DeathTest, LeavesTasksOfOtherWorkersAlone) {
  state.reset();
  Pool pool(4);
  const auto task = [](int x) {
    state->begun.add();
    if (x == 3 && state->begun.reaches(4)) ::_exit(1);
    return state->gate.reaches(1);
  };
  const CallOptions options{.progress = [](const Progress& progress) {
    if (progress.failed == 1) state->gate.add();
  }};
  const auto outcomes = pool.try_map(task, test::numbers(0, 4), options);
  ASSERT_THAT(outcomes, SizeIs(4));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(outcomes[i].value_or(false));
  EXPECT_EQ(outcomes[3].failure().kind(), FailureKind::crashed);
  EXPECT_EQ(state->begun.value(), 4U) << "a task was run again";
}

// Row 82: die-kept-results.
TEST_F(DeathTest, KeepsTheResultsThatItsWorkerHasGiven) {
  Pool pool(1);
  const auto outcomes = pool.try_map(only_at<8, test::kills_itself>, test::numbers(0, 9));
  ASSERT_THAT(outcomes, SizeIs(9));
  for (int x = 0; x < 8; ++x) EXPECT_EQ(*outcomes[static_cast<std::size_t>(x)], x);
  EXPECT_FALSE(outcomes[8]);
}

// Tasks that wait in the inbox of the dead worker have not begun, and are not charged.
TEST_F(DeathTest, GivesQueuedTasksToOthersAtNoCost) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x == 20'000) ::_exit(1);
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 40'000));
  ASSERT_THAT(outcomes, SizeIs(40'000));
  for (int x = 0; x < 40'000; ++x) {
    ASSERT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x == 20'000 ? -1 : x);
  }
}

// Row 84: die-grandchild. Were death learnt from the end of a pipe, it would take a minute.
TEST_F(DeathTest, IsNoticedWhileAHelperOfTheTaskHoldsAllDescriptors) {
  for (const bool own_session : {false, true}) {
    state.reset();
    const auto task = [](bool leave_group) {
      if (::fork() == 0) {
        if (leave_group) ::setsid();
        state->pids[0] = ::getpid();
        state->begun.add();
        (void)state->gate.reaches(1, std::chrono::seconds{60});
        ::_exit(0);
      }
      (void)state->begun.reaches(1);
      test::kills_itself(0);
    };
    const auto start = std::chrono::steady_clock::now();
    {
      Pool pool(2);
      EXPECT_THROW(pool.apply(task, own_session), CrashError);
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{20});
      const pid_t helper = state->pids[0];
      if (!own_session) await_end(helper);
      EXPECT_EQ(::kill(helper, 0) == 0, own_session) << "the helper dies with its group only";
    }
    EXPECT_EQ(::kill(state->pids[0], 0), -1) << "what a task leaves running ends with the pool";
  }
}

// Row 86: die-not-a-worker.
TEST_F(DeathTest, OfAChildOfTheHostIsTheHostsBusiness) {
  Pool pool(2);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(5);
  const test::Process process(child);
  EXPECT_TRUE(process.ends_within(test::kPatience));
  EXPECT_THAT(pool.map(same, test::numbers(0, 1000)), SizeIs(1000));
  EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child) << "the pool has reaped it";
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

// Row 191: fd-flat-crashes.
TEST_F(DeathTest, TwoHundredTimesInOnePoolLeavesNothingBehind) {
  Pool pool(2);
  const auto after_death = [&pool] {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_EQ(pool.apply(same, 7), 7);
    return test::Footprint::now();
  };
  const test::Footprint before = after_death();
  test::Footprint after;
  for (int death = 0; death < 200; ++death) after = after_death();
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_EQ(after.children, before.children);
  EXPECT_EQ(after.threads, before.threads);
  EXPECT_TRUE(test::eventually([&] { return workers_of(pool).size() == 2; }))
      << "zombies, or workers that were not replaced";
}

// The numbers by which workers themselves leave mean nothing in a task.
TEST_F(DeathTest, ByAnExitWithAnyCodeIsReportedWithThatCode) {
  Pool pool(2);
  const auto leave = [](int code) { ::_exit(code); };
  const auto outcomes = pool.try_map(leave, test::numbers(118, 128));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int code = 118; code < 128; ++code) {
    const Failure& failure = outcomes[static_cast<std::size_t>(code - 118)].failure();
    EXPECT_EQ(failure.exit_code(), code);
    EXPECT_THAT(failure.what(), HasSubstr("exited with code " + std::to_string(code)));
  }
}

// It unwinds by an exception that nobody may keep.
TEST_F(DeathTest, ATaskThatEndsItsThreadIsToldAsThat) {
  Pool pool(1);
  for (const bool in_pieces : {false, true}) {
    const auto outcomes = pool.try_map(
        [](const std::string& text) {
          if (text[0] == 'x') ::pthread_exit(nullptr);
          return text;
        },
        std::vector<std::string>{"a", "x" + std::string(in_pieces ? 3'000'000 : 0, 'x'), "b"});
    EXPECT_TRUE(outcomes.at(0));
    EXPECT_TRUE(outcomes.at(2));
    ASSERT_FALSE(outcomes.at(1));
    EXPECT_EQ(outcomes[1].failure().kind(), FailureKind::crashed);
    EXPECT_THAT(outcomes[1].failure().what(), HasSubstr("it ended its own thread"));
  }
}

}  // namespace
}  // namespace bulkhead
