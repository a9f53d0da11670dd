// SPDX-License-Identifier: MIT
//
// The process that a pool lives in stays its own: threads, descriptors, output. Signals and forks:
// host_signals_test.cpp, host_forks_test.cpp.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/start.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::expect_usable;
using test::Fork;
using test::only_at;
using test::workers_of;
using ::testing::Each;
using ::testing::SizeIs;
using HostTest = test::ProcessTest;

const test::Shared<test::Tally> exits;

int same(int x) {
  return x;
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
    EXPECT_LE(open_descriptors() - before, 5) << "the host holds descriptors for each worker";
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
  Fork fork(
      [&] {
        body();
        std::exit(0);
      },
      [&] {
        ::dup2(ends[1], 1);
        ::close(ends[0]);
        ::close(ends[1]);
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
  exits.reset();
  for (const bool in_order : {true, false}) {
    (void)output_of([in_order] {
      std::atexit([] { exits->add(); });
      Pool pool(8);
      EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
      EXPECT_THROW((void)pool.apply(test::exits_with_code_42, 0), CrashError);
      if (!in_order) return;
      pool.close();
      pool.join();
    });
    EXPECT_EQ(exits->value(), in_order ? 1U : 2U);
  }
}

TEST_F(HostTest, TheEnvironmentAndTheWorkingDirectoryAreThoseOfTheHost) {
  if (test::tested_start() == StartMethod::forkserver)
    GTEST_SKIP() << "they are those of bulkhead::init() there: see StartTest";
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
