// SPDX-License-Identifier: MIT
//
// ProgressBar: one line on a terminal, plain lines elsewhere.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/replaced.hpp"
#include "tests/support/shared.hpp"
#include "worker/descriptor.hpp"
#include "worker/pipe.hpp"
#include <bulkhead/bulkhead.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <stdexcept>
#include <string>
#include <sys/ioctl.h>
#include <termios.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using detail::Descriptor;
using test::numbers;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class ProgressBarTest : public test::ProcessTest {};

int sleeps(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  if (milliseconds % 10 == 7) throw std::runtime_error("seven");
  return milliseconds;
}

/// What is there to be read; little enough to fit.
std::string taken_from(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string text;
  char letter = 0;
  while (::read(fd, &letter, 1) == 1) text += letter;
  return text;
}

/// What goes to standard error while `body` runs, if that is a pipe.
std::string piped(const std::function<void()>& body) {
  detail::Pipe pipe;
  {
    const test::Replaced standard_error(STDERR_FILENO, pipe.write_end.get());
    body();
  }
  return taken_from(pipe.read_end.get());
}

/// The same for a terminal with so many columns.
std::string on_terminal(unsigned short columns, const std::function<void()>& body) {
  const Descriptor master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_EQ(::grantpt(master.get()), 0);
  EXPECT_EQ(::unlockpt(master.get()), 0);
  char name[64] = {};
  EXPECT_EQ(::ptsname_r(master.get(), name, sizeof name), 0);
  const Descriptor terminal(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  winsize size{};
  size.ws_col = columns;
  EXPECT_EQ(::ioctl(terminal.get(), TIOCSWINSZ, &size), 0);
  {
    const test::Replaced standard_error(STDERR_FILENO, terminal.get());
    body();
  }
  return taken_from(master.get());
}

std::ptrdiff_t count_of(const std::string& text, char letter) {
  return std::count(text.begin(), text.end(), letter);
}

TEST_F(ProgressBarTest, OnATerminalIsOneLineDrawnAgainAndAgain) {
  Pool pool(2);
  const std::string text = on_terminal(70, [&] {
    (void)pool.map(sleeps, std::vector<int>(20, 30), {.progress = ProgressBar("parsing")});
  });
  EXPECT_EQ(count_of(text, '\n'), 1) << text;
  EXPECT_GE(count_of(text, '\x1b'), 3) << text;
  EXPECT_THAT(text, HasSubstr("parsing "));
  EXPECT_THAT(text, HasSubstr("/20, "));
  EXPECT_THAT(text, HasSubstr("s left"));
  EXPECT_THAT(text, HasSubstr("\x1b[Kparsing: 20 in "));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find('\r', at), text.size());
    EXPECT_LE(next - at, 70U + 3);  // and the control sequence
    at = next + 1;
  }
}

TEST_F(ProgressBarTest, InAPipeIsPlainAndRare) {
  Pool pool(2);
  const std::string text = piped([&] {
    (void)pool.try_map(sleeps, std::vector<int>{300, 7, 10, 17},
                       {.progress = ProgressBar("files")});
  });
  EXPECT_THAT(text, MatchesRegex("files: 4 in (0\\.[3-9][0-9]?|1) s, [0-9.]+/s, 2 failed\n"));
}

TEST_F(ProgressBarTest, OfACallThatThrowsHasALastLine) {
  Pool pool(1);
  const std::string text = piped([&] {
    EXPECT_THROW(
        (void)pool.map(sleeps, std::vector<int>{7, 1, 1, 1}, {.progress = ProgressBar("files")}),
        std::runtime_error);
  });
  EXPECT_THAT(text, HasSubstr("1 failed\n"));
  EXPECT_EQ(count_of(text, '\n'), 1) << text;
}

TEST_F(ProgressBarTest, SeveralComeOneAfterTheOther) {
  Pool pool(2);
  const std::string text = piped([&] {
    (void)pool.map(sleeps, std::vector<int>(3, 1), {.progress = ProgressBar("first")});
    (void)pool.map(sleeps, std::vector<int>(5, 1), {.progress = ProgressBar("second")});
  });
  EXPECT_THAT(text, MatchesRegex("first: 3 in .*\nsecond: 5 in .*\n"));
}

TEST_F(ProgressBarTest, OneMayBeUsedForSeveralCalls) {
  Pool pool(2);
  const ProgressBar bar;
  const std::string text = piped([&] {
    for (const std::size_t count : {3U, 5U, 5U})
      (void)pool.map(sleeps, std::vector<int>(count, 1), {.progress = bar});
  });
  EXPECT_THAT(text, MatchesRegex("3 in .*\n5 in .*\n5 in .*\n"));
}

TEST_F(ProgressBarTest, CopiesAreOneBar) {
  const std::string text = piped([] {
    std::function<void(const Progress&)> first = ProgressBar("x");
    std::function<void(const Progress&)> second = first;
    first({5, 0, 10});
    first = nullptr;
    second({6, 1, 10});
    second = nullptr;
  });
  EXPECT_THAT(text, MatchesRegex("x: 6 of 10 in .*, 1 failed\n"));
}

TEST_F(ProgressBarTest, IsCalledForCallsThatNobodyWaitsFor) {
  Pool pool(2);
  const std::string text = piped([&] {
    auto result = pool.map_async(sleeps, std::vector<int>(5, 1), {.progress = ProgressBar("x")});
    (void)result.get();
    pool.close();
    pool.join();
  });
  EXPECT_THAT(text, HasSubstr("x: 5 in "));
}

TEST_F(ProgressBarTest, ThrowsNothingWhereStandardErrorIsClosed) {
  test::in_fork([] {
    Pool pool(1);
    const int kept = ::dup(STDERR_FILENO);
    ::close(STDERR_FILENO);
    EXPECT_EQ(pool.map(sleeps, std::vector<int>(5, 1), {.progress = ProgressBar("x")}).size(), 5U);
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
  });
}

}  // namespace
}  // namespace bulkhead
