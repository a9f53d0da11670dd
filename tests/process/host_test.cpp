// SPDX-License-Identifier: MIT
//
// The process that a pool lives in stays its own: signals, children, forks, threads, descriptors,
// output.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::Fork;
using test::in_fork;
using test::only_at;
using test::Process;
using test::workers_of;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using HostTest = test::ProcessTest;

struct State : test::Gated {
  test::Tally ready;
  test::Tally count;
  std::array<std::atomic<pid_t>, 8> pids;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

/// Results, a crash and a recovery: all that a pool can be asked for.
void expect_usable(Pool& pool) {
  EXPECT_THAT(pool.map(same, test::numbers(0, 500)), SizeIs(500));
  EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  const auto outcomes = pool.try_map(only_at<7, test::segfaults>, test::numbers(0, 20));
  for (int x = 0; x < 20; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x != 7);
}

struct Dispositions {
  std::array<void*, NSIG> handlers{};
  std::array<int, NSIG> flags{};
  std::array<bool, NSIG> blocked{};
  bool operator==(const Dispositions&) const = default;

  static Dispositions now() {
    Dispositions all;
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction action {};
      ::sigaction(signal, nullptr, &action);
      const auto i = static_cast<std::size_t>(signal);
      all.handlers[i] = reinterpret_cast<void*>(action.sa_handler);
      all.flags[i] = action.sa_flags;
      all.blocked[i] = ::sigismember(&mask, signal) == 1;
    }
    return all;
  }
};

TEST_F(HostTest, SignalHandlersAndMasksStayAsTheyAre) {
  const Dispositions before = Dispositions::now();
  {
    Pool pool(2);
    EXPECT_EQ(Dispositions::now(), before);
    expect_usable(pool);
    EXPECT_EQ(Dispositions::now(), before);
  }
  EXPECT_EQ(Dispositions::now(), before);
}

// Row 162: host-sigint-group. Ctrl-C reaches the host alone, who ends the call from his callback.
TEST_F(HostTest, AnInterruptOfTheTerminalReachesTheHostAndNoWorker) {
  state.reset();
  Fork host([] {
    ::setpgid(0, 0);
    static volatile std::sig_atomic_t interrupts = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupts = interrupts + 1; };
    ::sigaction(SIGINT, &action, nullptr);
    Pool pool(2);
    const pid_t zygote = test::zygote_of(pool);
    const std::set<int> workers = workers_of(pool);
    const CallOptions options{.progress = [&](const Progress&) {
      if (interrupts == 0) return;
      EXPECT_EQ(test::workers_under(zygote), workers);
      pool.terminate();
      throw std::runtime_error("interrupted");
    }};
    state->ready.add();
    EXPECT_THROW((void)pool.map(wait_for_gate, test::numbers(0, 100), options), std::runtime_error);
    EXPECT_EQ(interrupts, 1);
    EXPECT_EQ(state->begun.value(), 2U);
  });
  ASSERT_TRUE(state->ready.reaches(1));
  ASSERT_TRUE(state->begun.reaches(2));
  ::kill(-host.process().pid(), SIGINT);
  EXPECT_EQ(host.wait(), 0);
}

// Row 162: host-sigint-group, with a host that does not handle it.
TEST_F(HostTest, AnInterruptThatEndsTheHostEndsItsWorkers) {
  state.reset();
  Fork host([] {
    ::setpgid(0, 0);
    Pool pool(2);
    (void)pool.map(wait_for_gate, test::numbers(0, 100));
  });
  ASSERT_TRUE(state->begun.reaches(2));
  ::kill(-host.process().pid(), SIGINT);
  const int status = host.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
}

// Row 163: host-sigint-ignored.
TEST_F(HostTest, AnIgnoredInterruptStaysIgnored) {
  in_fork([] {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_IGN);
    Pool pool(2);
    const auto interrupt_all = [](int x) {
      if (x % 100 == 0) ::kill(state->pids[0], SIGINT);
      return x;
    };
    state->pids[0] = -::getpid();
    EXPECT_THAT(pool.map(interrupt_all, test::numbers(0, 1000)), SizeIs(1000));
    struct sigaction action {};
    ::sigaction(SIGINT, nullptr, &action);
    EXPECT_EQ(action.sa_handler, SIG_IGN);
  });
}

// Interrupted system calls: a host with a timer that fires all the time.
TEST_F(HostTest, SignalsThatInterruptSystemCallsDoNoHarm) {
  in_fork([] {
    struct sigaction action {};
    static volatile std::sig_atomic_t ticks = 0;
    action.sa_handler = [](int) { ticks = ticks + 1; };
    ::sigaction(SIGALRM, &action, nullptr);
    ::ualarm(500, 500);
    for (int round = 0; round < 20; ++round) {
      Pool pool(2);
      expect_usable(pool);
      if (round % 2 != 0) continue;
      pool.close();
      pool.join();
    }
    ::ualarm(0, 0);
    EXPECT_GT(ticks, 0);
  });
}

// Row 166: host-sigchld-ign.
TEST_F(HostTest, DeathsAreNoticedThoughTheHostIgnoresSigchld) {
  in_fork([] {
    ::signal(SIGCHLD, SIG_IGN);
    Pool pool(2);
    expect_usable(pool);
    pool.close();
    pool.join();
    struct sigaction action {};
    ::sigaction(SIGCHLD, nullptr, &action);
    EXPECT_EQ(action.sa_handler, SIG_IGN);
  });
}

// Row 167: host-reaper.
TEST_F(HostTest, DeathsAreNoticedThoughTheHostReapsAllChildren) {
  in_fork([] {
    std::optional<Pool> pool(std::in_place, 2);
    std::atomic<bool> over = false;
    std::thread reaper([&over] {
      while (!over) {
        if (::waitpid(-1, nullptr, WNOHANG) <= 0) test::pause_a_moment();
      }
    });
    for (int round = 0; round < 20; ++round) expect_usable(*pool);
    pool->close();
    pool->join();
    pool.reset();
    over = true;
    reaper.join();
  });
}

// Row 169: host-fork.
TEST_F(HostTest, AForkOfTheHostThatEndsInOrderLeavesThePoolAlone) {
  auto pool = std::make_unique<Pool>(2);
  const std::set<int> workers = workers_of(*pool);
  for (const bool destroys : {true, false}) {
    Fork copy([&] {
      if (destroys) pool.reset();
      std::exit(0);
    });
    EXPECT_EQ(copy.wait(), 0);
  }
  EXPECT_EQ(workers_of(*pool), workers);
  expect_usable(*pool);
}

// Row 170: host-fork-uses.
TEST_F(HostTest, AForkOfTheHostThatUsesThePoolIsToldThatItMayNot) {
  Pool pool(2);
  const pid_t owner = ::getpid();
  Fork copy([&pool, owner] {
    const auto expect_refusal = [owner](auto call) {
      try {
        call();
        ADD_FAILURE() << "the pool was used";
      } catch (const PoolClosed& error) {
        EXPECT_THAT(error.what(), HasSubstr("belongs to process " + std::to_string(owner)));
        EXPECT_THAT(error.what(), HasSubstr("make a new Pool"));
      }
    };
    expect_refusal([&] { (void)pool.map(same, std::vector{1}); });
    expect_refusal([&] { (void)pool.try_map(same, std::vector{1}); });
    expect_refusal([&] { (void)pool.apply(same, 1); });
    expect_refusal([&] { pool.close(); });
    expect_refusal([&] { pool.join(); });
    expect_refusal([&] { pool.terminate(); });
    Pool own(1);
    EXPECT_EQ(own.apply(same, 1), 1);
  });
  EXPECT_EQ(copy.wait(), 0);
  expect_usable(pool);
}

// Row 171: host-fork-holds.
TEST_F(HostTest, AForkOfTheHostThatLivesOnKeepsNoWorkerAlive) {
  state.reset();
  Fork host([] {
    Pool pool(2);
    std::size_t count = 0;
    state->pids[count++] = test::zygote_of(pool);
    for (const int pid : workers_of(pool)) state->pids[count++] = pid;
    state->pids[7] = ::fork();
    if (state->pids[7] == 0) {
      (void)state->gate.reaches(1, std::chrono::seconds{60});
      ::_exit(0);
    }
    state->ready.add();
    (void)pool.map(wait_for_gate, test::numbers(0, 100));
  });
  ASSERT_TRUE(state->begun.reaches(2));
  std::vector<Process> processes;
  for (std::size_t i = 0; i < 3; ++i) processes.emplace_back(state->pids[i]);
  host.process().send(SIGKILL);
  for (const Process& process : processes) EXPECT_TRUE(process.ends_within(test::kPatience));
  state->gate.add();
  host.wait();
}

// Row 156: parent-kill9-thread. The thread that made the pool is no more.
TEST_F(HostTest, APoolOutlivesTheThreadThatMadeIt) {
  std::optional<Pool> pool;
  std::thread([&pool] {
    pool.emplace(Options{.workers = 2, .risk_locks_held_by_other_threads = true});
  }).join();
  const std::set<int> workers = workers_of(*pool);
  EXPECT_THAT(workers, SizeIs(2));
  for (int round = 0; round < 20; ++round) {
    EXPECT_THAT(pool->map(same, test::numbers(0, 500)), SizeIs(500));
  }
  EXPECT_EQ(workers_of(*pool), workers) << "workers have died with the thread";
  expect_usable(*pool);
}

/// Descriptors of this process above the standard streams.
int open_descriptors() {
  int count = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) ++count;
  }
  return count;
}

// Row 173: host-fd-inflation.
TEST_F(HostTest, WorkersHoldNoDescriptorsOfTheHostNorOfEachOther) {
  std::vector<int> held;
  for (int i = 0; i < 50; ++i) held.push_back(::dup(0));
  for (const int workers : {1, 5, 20}) {
    const int before = open_descriptors();
    Pool pool(workers);
    EXPECT_LE(open_descriptors() - before, 4) << "the host holds descriptors for each worker";
    EXPECT_THAT(pool.map([](int) { return open_descriptors(); }, test::numbers(0, 100)), Each(1));
    expect_usable(pool);
    EXPECT_THAT(pool.map([](int) { return open_descriptors(); }, test::numbers(0, 100)), Each(1));
  }
  for (const int fd : held) ::close(fd);
}

// A pipe of the host reaches its end although workers were forked meanwhile.
TEST_F(HostTest, APipeOfTheHostIsNotHeldOpen) {
  std::array<int, 2> ends{-1, -1};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Pool pool(2);
  EXPECT_EQ(pool.apply(same, 1), 1);
  ::close(ends[1]);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "some process holds the writing end";
  ::close(ends[0]);
}

// Nothing can be printed here: the exit code tells.
TEST_F(HostTest, AHostWithoutStandardStreamsIsServedToo) {
  Fork host([] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    Pool pool(2);
    if (pool.map(same, test::numbers(0, 500)).size() != 500) ::_exit(11);
    const auto outcomes = pool.try_map(only_at<7, test::segfaults>, test::numbers(0, 20));
    if (outcomes[7] || !outcomes[8]) ::_exit(12);
    if (pool.apply(test::closes_its_standard_streams, 5) != 5) ::_exit(13);
    if (pool.apply(same, 6) != 6) ::_exit(14);
  });
  EXPECT_EQ(host.wait(), 0);
}

/// What `body` writes to standard output in a fork that ends by exit().
std::string output_of(const std::function<void()>& body) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  std::fflush(nullptr);
  Fork fork([&] {
    ::dup2(ends[1], 1);
    ::close(ends[0]);
    ::close(ends[1]);
    body();
    std::exit(0);
  });
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t size = ::read(ends[0], part.data(), part.size());
    if (size <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  (void)fork.wait();
  return text;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t hits = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++hits;
  return hits;
}

// Row 160: stdio-once.
TEST_F(HostTest, UnflushedOutputAppearsOnce) {
  for (const bool in_order : {true, false}) {
    const std::string text = output_of([in_order] {
      std::printf("unflushed;");
      Pool pool(3);
      EXPECT_THROW((void)pool.apply(test::exits_with_code_42, 0), CrashError);
      const auto print = [](int x) { std::printf("task %d;\n", x); };
      pool.map(print, test::numbers(0, 10));
      if (!in_order) return;
      pool.close();
      pool.join();
    });
    EXPECT_EQ(count(text, "unflushed;"), 1U) << text;
    for (int x = 0; x < 10; ++x) EXPECT_EQ(count(text, "task " + std::to_string(x)), 1U) << text;
  }
}

// Row 161: atexit-once.
TEST_F(HostTest, ExitHandlersOfTheHostRunOnceAndInTheHost) {
  state.reset();
  for (const bool in_order : {true, false}) {
    (void)output_of([in_order] {
      std::atexit([] { state->count.add(); });
      Pool pool(8);
      EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
      EXPECT_THROW((void)pool.apply(test::exits_with_code_42, 0), CrashError);
      if (!in_order) return;
      pool.close();
      pool.join();
    });
    EXPECT_EQ(state->count.value(), in_order ? 1U : 2U);
  }
}

TEST_F(HostTest, TheEnvironmentAndTheWorkingDirectoryAreThoseOfTheHost) {
  ::setenv("BULKHEAD_TEST_WORD", "inherited", 1);
  Pool pool(1);
  ::setenv("BULKHEAD_TEST_WORD", "changed", 1);
  EXPECT_EQ(pool.apply([] { return std::string(::getenv("BULKHEAD_TEST_WORD")); }), "inherited");
  ::unsetenv("BULKHEAD_TEST_WORD");
  const auto here = [] {
    std::array<char, 4096> path{};
    return std::string(::getcwd(path.data(), path.size()));
  };
  EXPECT_EQ(pool.apply(here), here());
}

TEST_F(HostTest, AForkOfTheHostMayDestroyAPoolOnWhichThreadsWait) {
  auto pool = std::make_unique<Pool>(2);
  const auto wait = [](int x) {
    state->begun.add();
    return state->gate.reaches(1) ? x : -1;
  };
  state.reset();
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(pool->apply(wait, 5), 5); });
  }
  EXPECT_TRUE(state->begun.reaches(2));
  Fork copy([&] {
    pool.reset();
    ::_exit(7);
  });
  EXPECT_EQ(WEXITSTATUS(copy.wait(std::chrono::seconds{30})), 7);
  state->gate.add();
  for (std::thread& thread : threads) thread.join();
}

// std::cout has a buffer of its own then.
TEST_F(HostTest, UnflushedOutputOfUnsyncedStreamsAppearsOnce) {
  const std::string text = output_of([] {
    std::ios_base::sync_with_stdio(false);
    std::cout << "of the host;";
    {
      Pool pool(2);
      pool.map([](int x) { std::cout << "of task " << x << ";" << std::endl; },
               test::numbers(0, 3));
    }
    std::cout.flush();
  });
  for (const char* part : {"of the host;", "of task 0;", "of task 1;", "of task 2;"}) {
    EXPECT_EQ(count(text, part), 1U) << text;
  }
}

}  // namespace
}  // namespace bulkhead
