// SPDX-License-Identifier: MIT
//
// Hosts whose standard streams are closed or lead nowhere. As nothing can be printed there, exit
// codes tell.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/pool.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::Fork;
using HostStreamsTest = test::ProcessTest;

/// Leaves a fork with that code if `good` is false.
void require(bool good, int code) {
  if (!good) ::_exit(code);
}

int print(int x) {
  std::printf("task %d\n", x);
  std::fprintf(stderr, "task %d\n", x);
  const std::string text(40, 'x');
  for (const int fd : {0, 1, 2}) {
    [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
  }
  return x;
}

/// What can be asked of a pool, without a word.
void require_usable(Pool& pool, int code) {
  const auto same = [](int x) { return x; };
  require(pool.map(same, test::numbers(0, 500)) == test::numbers(0, 500), code);
  const auto outcomes = pool.try_map(test::only_at<7, test::kills_itself>, test::numbers(0, 20));
  for (std::size_t x = 0; x < 20; ++x) require(outcomes[x].has_value() == (x != 7), code + 1);
}

/// Which standard streams are closed: a sum of 1, 2 and 4.
class ClosedStreamsTest : public test::ProcessTest, public ::testing::WithParamInterface<int> {
 protected:
  static bool is_in_set(int fd) { return (GetParam() >> fd & 1) != 0; }
  /// Closes those of the set; nothing is heard of the others.
  static void close_set() {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {0, 1, 2}) ::dup2(null, fd);
    for (const int fd : {0, 1, 2}) {
      if (is_in_set(fd)) ::close(fd);
    }
  }
  static bool set_is_closed() {
    for (const int fd : {0, 1, 2}) {
      const bool is_open = ::fcntl(fd, F_GETFD) != -1;
      if (is_open == is_in_set(fd)) return false;
    }
    return true;
  }
};

INSTANTIATE_TEST_SUITE_P(Sets, ClosedStreamsTest, ::testing::Range(1, 8));

TEST_P(ClosedStreamsTest, AreNotTakenByThePool) {
  Fork host([] {
    close_set();
    Pool pool(2);
    require(set_is_closed(), 11);
    const auto table = broadcast(std::vector<double>(100, 1.0));
    require(set_is_closed(), 12);
    require_usable(pool, 13);
    const auto read = [](const Broadcast<double[]>& numbers, int) { return numbers[0]; };
    require(pool.map(partial(read, table), test::numbers(0, 10)).front() == 1.0, 15);
    require(set_is_closed(), 16);
  });
  EXPECT_EQ(host.wait(), 0);
}

// Whatever a task prints goes nowhere, and not into the pool's own channels.
TEST_P(ClosedStreamsTest, MayBePrintedTo) {
  Fork host([] {
    close_set();
    Pool pool(2);
    for (int round = 0; round < 5; ++round) {
      require(pool.map(print, test::numbers(0, 50)) == test::numbers(0, 50), 11);
      (void)print(round);
      require_usable(pool, 12);
    }
    pool.close();
    pool.join();
  });
  EXPECT_EQ(host.wait(), 0);
}

TEST_F(HostStreamsTest, ThatAreABrokenPipeDisturbNoPoolThatDoesNotPrint) {
  Fork host([] {
    test::replaces_its_standard_streams(0);
    Pool pool(2);
    require_usable(pool, 11);
    const auto outcomes = pool.try_map(print, {1});
    require(!outcomes.at(0), 13);  // SIGPIPE
    require_usable(pool, 14);
    pool.close();
    pool.join();
  });
  EXPECT_EQ(host.wait(), 0);
}

TEST_F(HostStreamsTest, ThatAreAFullPipeDisturbNoPoolThatDoesNotPrint) {
  Fork host([] {
    std::array<int, 2> ends{-1, -1};
    require(::pipe2(ends.data(), O_NONBLOCK) == 0, 10);
    while (::write(ends[1], "x", 1) == 1) {
    }
    ::fcntl(ends[1], F_SETFL, 0);  // from now on who writes waits
    for (const int fd : {1, 2}) ::dup2(ends[1], fd);
    Pool pool(2);
    require_usable(pool, 11);
    pool.close();
    pool.join();
  });
  EXPECT_EQ(host.wait(), 0);
}

}  // namespace
}  // namespace bulkhead
