// SPDX-License-Identifier: MIT
//
// The signals and the dead children of the process that a pool lives in stay its own.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::expect_usable;
using test::Fork;
using test::in_fork;
using test::workers_of;
using ::testing::SizeIs;
using HostSignalsTest = test::ProcessTest;

struct State : test::Gated {
  test::Tally ready;
  std::atomic<pid_t> host{0};
};
const test::Shared<State> state;

int wait_for_gate(int x) {
  return state->wait_for_gate(x);
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

TEST_F(HostSignalsTest, SignalHandlersAndMasksStayAsTheyAre) {
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
TEST_F(HostSignalsTest, AnInterruptOfTheTerminalReachesTheHostAndNoWorker) {
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
TEST_F(HostSignalsTest, AnInterruptThatEndsTheHostEndsItsWorkers) {
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
TEST_F(HostSignalsTest, AnIgnoredInterruptStaysIgnored) {
  in_fork([] {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_IGN);
    Pool pool(2);
    const auto interrupt_all = [](int x) {
      if (x % 100 == 0) ::kill(-state->host, SIGINT);
      return x;
    };
    state->host = ::getpid();
    EXPECT_THAT(pool.map(interrupt_all, test::numbers(0, 1000)), SizeIs(1000));
    struct sigaction action {};
    ::sigaction(SIGINT, nullptr, &action);
    EXPECT_EQ(action.sa_handler, SIG_IGN);
  });
}

// Row 159: pgroup-kill. The host has left the group in which it made the pool.
TEST_F(HostSignalsTest, ASignalToTheGroupThatThePoolWasMadeInReachesNoWorker) {
  state.reset();
  in_fork([] {
    const pid_t group = ::fork();
    if (group == 0) {
      ::setpgid(0, 0);
      state->ready.add();
      (void)state->gate.reaches(1, std::chrono::seconds{60});
      ::_exit(0);
    }
    ASSERT_TRUE(state->ready.reaches(1));
    ASSERT_EQ(::setpgid(0, group), 0);
    Pool pool(2);
    const std::set<int> workers = workers_of(pool);
    ASSERT_EQ(::setpgid(0, 0), 0);
    std::thread caller(
        [&pool] { EXPECT_THAT(pool.map(wait_for_gate, test::numbers(0, 20)), SizeIs(20)); });
    EXPECT_TRUE(state->begun.reaches(2));
    EXPECT_EQ(::kill(-group, SIGTERM), 0);
    int status = 0;
    EXPECT_EQ(::waitpid(group, &status, 0), group);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
    state->gate.add();
    caller.join();
    EXPECT_EQ(workers_of(pool), workers);
    expect_usable(pool);
  });
}

// Row 164: host-sigterm-graceful. What runs is finished, and the process ends by itself.
TEST_F(HostSignalsTest, AHostThatClosesItsPoolOnSigtermGetsAllResults) {
  state.reset();
  Fork host([] {
    sigset_t terminate;
    ::sigemptyset(&terminate);
    ::sigaddset(&terminate, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &terminate, nullptr);
    Pool pool(2);
    std::thread closer([&] {
      int signal = 0;
      ::sigwait(&terminate, &signal);
      pool.close();
      state->gate.add();
    });
    EXPECT_THAT(pool.map(wait_for_gate, test::numbers(0, 50)), SizeIs(50));
    closer.join();
    pool.join();
  });
  ASSERT_TRUE(state->begun.reaches(2));
  host.process().send(SIGTERM);
  EXPECT_EQ(host.wait(), 0);
  EXPECT_EQ(state->begun.value(), 50U);
}

// Interrupted system calls: a host with a timer that fires all the time.
TEST_F(HostSignalsTest, SignalsThatInterruptSystemCallsDoNoHarm) {
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
TEST_F(HostSignalsTest, DeathsAreNoticedThoughTheHostIgnoresSigchld) {
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
TEST_F(HostSignalsTest, DeathsAreNoticedThoughTheHostReapsAllChildren) {
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

}  // namespace
}  // namespace bulkhead
