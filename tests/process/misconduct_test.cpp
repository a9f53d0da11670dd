// SPDX-License-Identifier: MIT
//
// Tasks that misbehave without dying, and tasks that do unusual things and may.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/start.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::only_at;
using test::workers_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using MisconductTest = test::ProcessTest;

struct State {
  test::Tally begun;
  std::array<std::atomic<pid_t>, 2> pids;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

// Row 103: task-fork-return.
TEST_F(MisconductTest, OfATaskThatForksAndReturnsTwiceOnlyTheWorkerAnswers) {
  Pool pool(2);
  const std::set<int> workers = workers_of(pool);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THAT(pool.map(only_at<3, test::forks_and_both_return>, test::numbers(0, 10)),
                ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  }
  EXPECT_EQ(workers_of(pool), workers);
}

TEST_F(MisconductTest, OfATaskThatForksAndThrowsTwiceOnlyTheWorkerAnswers) {
  Pool pool(1);
  const auto task = [](int x) {
    if (x != 3) return x;
    const bool copy = ::fork() == 0;
    throw std::runtime_error(copy ? "the copy" : "the worker");
  };
  for (int round = 0; round < 20; ++round) {
    const auto outcomes = pool.try_map(task, test::numbers(0, 10));
    ASSERT_THAT(outcomes, SizeIs(10));
    EXPECT_EQ(outcomes[3].failure().message(), "the worker");
    EXPECT_EQ(outcomes[9].value_or(-1), 9);
  }
}

// Row 104: task-fork-child-stays. What a task leaves in its process group ends with the worker.
TEST_F(MisconductTest, AChildThatATaskLeavesDoesNotHoldUpTheEnd) {
  for (const bool in_order : {false, true}) {
    state.reset();
    const auto start = std::chrono::steady_clock::now();
    Pool pool(1);
    const pid_t child = pool.apply([] {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::sleep(60);
        ::_exit(0);
      }
      return pid;
    });
    const test::Process handle(child);
    if (in_order) pool.close();
    if (in_order) pool.join();
    pool.terminate();
    EXPECT_TRUE(handle.ends_within(test::kPatience)) << "the child was left";
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{20});
  }
}

// Row 106: task-child-process.
TEST_F(MisconductTest, TasksMayRunProgramsAndWaitForThem) {
  Pool pool(2);
  EXPECT_EQ(pool.apply([] { return WEXITSTATUS(std::system("exit 7")); }), 7);
  const auto output_of = [](const std::string& command) {
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 200> line{};
    const bool any = std::fgets(line.data(), line.size(), pipe) != nullptr;
    const int status = ::pclose(pipe);
    return status == 0 && any ? std::string(line.data()) : "failed";
  };
  EXPECT_EQ(pool.apply(output_of, "echo hello"), "hello\n");
  EXPECT_EQ(pool.apply(output_of, "wc -c"), "0\n") << "standard input is not empty";
  const auto fork_and_wait = [] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(9);
    int status = 0;
    return ::waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -errno;
  };
  EXPECT_EQ(pool.apply(fork_and_wait), 9);
}

TEST_F(MisconductTest, WorkersBeginWithDefaultSignalsAndAnEmptyMask) {
  test::in_fork([] {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1}) {
      ::signal(signal, SIG_IGN);
    }
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    Pool pool(1);
    const auto count_unusual = [] {
      int unusual = 0;
      for (const int signal : {SIGINT, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1}) {
        struct sigaction action {};
        ::sigaction(signal, nullptr, &action);
        if (action.sa_handler != SIG_DFL) ++unusual;
      }
      sigset_t mask;
      ::sigprocmask(SIG_SETMASK, nullptr, &mask);
      for (int signal = 1; signal < NSIG; ++signal) {
        if (::sigismember(&mask, signal) == 1) ++unusual;
      }
      return unusual;
    };
    EXPECT_EQ(pool.apply(count_unusual), 0);
    EXPECT_THROW(pool.apply([] { ::raise(SIGTERM); }), CrashError);
  });
}

// Row 107: task-close-fds.
TEST_F(MisconductTest, ATaskThatClosesAllDescriptorsCostsItselfAtMost) {
  Pool pool(2);
  for (int round = 0; round < 10; ++round) {
    const auto outcomes =
        pool.try_map(only_at<3, test::closes_its_descriptors>, test::numbers(0, 100));
    ASSERT_THAT(outcomes, SizeIs(100));
    for (int x = 0; x < 100; ++x) {
      const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
      EXPECT_TRUE(outcome || x == 3) << x << ": " << outcome.failure().what();
      EXPECT_EQ(outcome.value_or(x), x);
    }
    EXPECT_EQ(pool.apply(same, round), round);
  }
}

// Row 108: task-close-std.
TEST_F(MisconductTest, TasksMayCloseOrReplaceTheStandardStreams) {
  for (const auto victim :
       {test::closes_its_standard_streams, test::replaces_its_standard_streams}) {
    Pool pool(2);
    const std::set<int> workers = workers_of(pool);
    EXPECT_THAT(pool.map(victim, test::numbers(0, 10)), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    EXPECT_EQ(workers_of(pool), workers);
    pool.close();
    pool.join();
  }
}

// Row 114: task-stdout. Nobody reads what it writes.
TEST_F(MisconductTest, WritingIntoABrokenPipeIsAnEndLikeAnyOther) {
  Pool pool(1);
  const auto write_into_nothing = [](int x) {
    test::replaces_its_standard_streams(x);
    return static_cast<int>(::write(1, "text", 4));
  };
  const auto outcomes = pool.try_map(write_into_nothing, std::vector{1});
  ASSERT_FALSE(outcomes[0]);
  EXPECT_EQ(outcomes[0].failure().signal(), SIGPIPE);
  EXPECT_EQ(pool.apply(same, 2), 2);
}

// Row 109: task-fd-leak.
TEST_F(MisconductTest, ATaskThatLeaksDescriptorsFailsItselfAndNoOther) {
  if (test::vptr_sanitizer()) GTEST_SKIP() << "the vptr sanitizer needs descriptors itself";
  test::in_fork([] {
    const rlimit few{64, 64};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    Pool pool(1);
    const auto leak = [](int) {
      if (::dup(1) < 0) throw std::system_error(errno, std::generic_category(), "dup");
    };
    const auto outcomes = pool.try_map(leak, test::numbers(0, 100));
    EXPECT_TRUE(outcomes[0]);
    EXPECT_FALSE(outcomes[99]);
    EXPECT_THAT(outcomes[99].failure().what(), HasSubstr("Too many open files"));
    EXPECT_EQ(pool.apply(same, 3), 3);
  });
}

// Row 111: task-sig-handlers.
TEST_F(MisconductTest, AnAlarmThatATaskHasSetEndsItsWorkerWithoutATask) {
  Pool pool(1);
  const test::Process worker(pool.apply([] { return ::getpid(); }));
  pool.apply([] { ::ualarm(200'000, 0); });
  EXPECT_TRUE(worker.ends_within(test::kPatience));
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Row 112: task-thread.
TEST_F(MisconductTest, AThreadThatATaskLeavesDoesNotHoldUpTheEnd) {
  const auto start = std::chrono::steady_clock::now();
  for (const bool in_order : {false, true}) {
    Pool pool(2);
    EXPECT_THAT(pool.map(test::leaves_a_thread, test::numbers(0, 10)),
                ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    if (!in_order) continue;
    pool.close();
    pool.join();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{20});
}

// Row 113: task-thread-crash.
TEST_F(MisconductTest, AThreadThatCrashesLaterEndsItsWorkerAndAtMostTheTaskThatRuns) {
  state.reset();
  Pool pool(1);
  const pid_t worker = pool.apply([] {
    std::thread([] {
      (void)state->begun.reaches(1);
      test::segfaults(0);
    }).detach();
    return ::getpid();
  });
  const test::Process handle(worker);
  state->begun.add();
  EXPECT_TRUE(handle.ends_within(test::kPatience));
  EXPECT_EQ(pool.apply(same, 1), 1) << "the worker was idle, so that no task is to blame";
}

// Row 117: task-release-refs.
struct Counted {
  int value = 0;
  Counted() { ++live; }
  explicit Counted(int its_value) : value(its_value) { ++live; }
  Counted(const Counted& other) : value(other.value) { ++live; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --live; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
  static inline int live = 0;
};

TEST_F(MisconductTest, ArgumentsAndResultsAreFreedOnBothSides) {
  Pool pool(1);
  {
    const std::vector<Counted> arguments(100, Counted(7));
    const auto task = [](const Counted& argument) { return Counted(argument.value); };
    EXPECT_THAT(pool.map(task, arguments), SizeIs(100));
    EXPECT_EQ(Counted::live, 100);
    const std::vector<Counted> results = pool.map(task, arguments);
    EXPECT_EQ(Counted::live, 200);
    EXPECT_THAT(pool.try_map([](const Counted&) { throw 1; }, arguments), SizeIs(100));
    EXPECT_EQ(Counted::live, 200);
  }
  EXPECT_EQ(Counted::live, 0);
  const int in_worker = pool.apply([] { return Counted::live; });
  EXPECT_EQ(in_worker, 0) << "the worker holds arguments or results of earlier tasks";
}

// Row 118: task-uses-pool.
TEST_F(MisconductTest, ATaskThatUsesAnInheritedPoolIsToldSo) {
  BULKHEAD_FORK_ONLY("others inherit none");
  static Pool* outer = nullptr;
  Pool elder(1);
  outer = &elder;
  Pool younger(2);
  const auto use = [](int x) { return outer->apply(same, x); };
  const auto outcomes = younger.try_map(use, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().type_name(), "bulkhead::PoolClosed");
    EXPECT_THAT(outcome.failure().message(),
                HasSubstr("belongs to process " + std::to_string(::getpid())));
    EXPECT_THAT(outcome.failure().message(), HasSubstr("make a new Pool there"));
  }
  EXPECT_EQ(elder.apply(same, 5), 5);
}

// Rows 118 and 195: task-uses-pool, nest-submit-self. Its own pool was not complete when the
// workers were forked.
TEST_F(MisconductTest, ATaskThatUsesItsOwnPoolIsToldSo) {
  alignas(Pool) static std::array<std::byte, sizeof(Pool)> place{};
  const auto use = [](int x) {
    Pool& own = *reinterpret_cast<Pool*>(place.data());
    return x % 2 == 0 ? own.apply(same, x) : own.apply_async(same, x).get();
  };
  const auto destroy = [](Pool* pool) { pool->~Pool(); };
  const std::unique_ptr<Pool, decltype(destroy)> pool(new (place.data()) Pool(2), destroy);
  const auto outcomes = pool->try_map(use, test::numbers(0, 4));
  ASSERT_THAT(outcomes, SizeIs(4));
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().type_name(), "bulkhead::PoolClosed") << outcome.failure().what();
  }
  EXPECT_EQ(pool->apply(same, 5), 5);
}

// Row 193: nest-pool.
TEST_F(MisconductTest, ATaskMayHaveAPoolOfItsOwn) {
  Pool pool(2);
  const auto nested = [](int x) {
    Pool inner(2);
    const std::vector<int> results = inner.map(same, test::numbers(x, x + 10));
    int sum = 0;
    for (const int result : results) sum += result;
    return sum;
  };
  EXPECT_THAT(pool.map(nested, test::numbers(0, 6)), ElementsAre(45, 55, 65, 75, 85, 95));
}

// Row 150: nested-kill.
TEST_F(MisconductTest, APoolOfATaskEndsWithItsWorker) {
  state.reset();
  Pool pool(1);
  const auto nested = [] {
    Pool own(1);
    state->pids[0] = own.apply(::getppid);
    state->pids[1] = own.apply(::getpid);
    state->begun.add();
    own.apply([] { ::sleep(60); });
  };
  std::thread caller([&] { EXPECT_THROW(pool.apply(nested), CancelledError); });
  ASSERT_TRUE(state->begun.reaches(1));
  const test::Process zygote(state->pids[0]);
  const test::Process worker(state->pids[1]);
  pool.terminate();
  caller.join();
  EXPECT_TRUE(zygote.ends_within(test::kPatience));
  EXPECT_TRUE(worker.ends_within(test::kPatience));
  // Orphans come to this process.
  ::waitpid(zygote.pid(), nullptr, 0);
  ::waitpid(worker.pid(), nullptr, 0);
}

// A task that closes everything and answers is past; what its worker cannot do any more must not be
// blamed on those behind it.
TEST_F(MisconductTest, ATaskIsNotBlamedForDescriptorsThatAnotherHasClosed) {
  const auto task = [](int x) -> std::vector<int> {
    if (x == 300) {
      ::closefrom(3);
      return {};
    }
    return std::vector<int>(x % 3 == 2 ? 5000 : 1, x);
  };
  for (int round = 0; round < 20; ++round) {
    Pool pool(Options{.workers = 2, .ring_bytes = 4096});
    const auto outcomes = pool.try_map(task, test::numbers(0, 600));
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (i == 300) continue;
      ASSERT_TRUE(outcomes[i]) << outcomes[i].failure().what();
    }
  }
}

// Nothing may unwind the stack of the host that a worker has inherited.
TEST_F(MisconductTest, ATaskThatThrowsWhenNoMemoryIsLeftNeverReturnsToTheHost) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need more address space";
  state.reset();
  struct Witness {
    pid_t pid = ::getpid();
    ~Witness() {
      if (::getpid() != pid) state->begun.add();
    }
  };
  const auto task = [](int x) {
    if (x != 1) return x;
    static void* leaked = nullptr;
    for (std::size_t size = 1 << 20; size >= 16;) {
      void* const block = std::malloc(size);
      if (block == nullptr) {
        size /= 2;
      } else {
        *static_cast<void**>(block) = leaked;
        leaked = block;
      }
    }
    throw std::runtime_error("no memory is left");
  };
  try {
    const Witness witness;
    Pool pool(Options{.workers = 1, .initializer = [] {
                        const rlimit limit{256U << 20, 256U << 20};
                        ::setrlimit(RLIMIT_AS, &limit);
                      }});
    const auto outcomes = pool.try_map(task, std::vector{0, 1, 2});
    EXPECT_EQ(*outcomes[0], 0);
    EXPECT_FALSE(outcomes[1]);
    EXPECT_EQ(*outcomes[2], 2);
  } catch (...) {
    ADD_FAILURE() << "in process " << ::getpid();
  }
  EXPECT_EQ(state->begun.value(), 0U);
}

}  // namespace
}  // namespace bulkhead
