// SPDX-License-Identifier: MIT
//
// Tasks, and hosts, that do odd things to the pipes and streams by which tasks are heard.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/replaced.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using OutputMisconductTest = test::ProcessTest;

struct Logged {
  std::ostringstream text;
  std::shared_ptr<spdlog::logger> logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
};

/// Progress is told every 100 ms, so this is away in the midst of tasks that take longer together.
const CallOptions kLooksAway{
    .progress = [](const Progress&) { std::this_thread::sleep_for(50ms); }};

int write_as_oneself(int x, std::size_t size) {
  const std::string text(size, static_cast<char>('a' + x % 26));
  EXPECT_EQ(::write(STDOUT_FILENO, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return x;
}

/// Each task's outcome has what it wrote, and nothing of others.
void expect_own_output(const std::vector<Outcome<int>>& outcomes) {
  for (std::size_t task = 0; task < outcomes.size(); ++task) {
    ASSERT_TRUE(outcomes[task]) << outcomes[task].failure().what();
    const std::string& out = outcomes[task].output().out;
    EXPECT_THAT(out, ::testing::Not(IsEmpty())) << "task " << task;
    EXPECT_THAT(std::set(out.begin(), out.end()),
                ::testing::IsSubsetOf({static_cast<char>('a' + task % 26)}))
        << "task " << task;
  }
}

TEST_F(OutputMisconductTest, APipeThatATaskHasMadeLargerIsReadWhole) {
  const auto enlarge = [](int x) {
    test::work_for(4ms);
    EXPECT_GE(::fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 1 << 20), 1 << 20);
    return write_as_oneself(x, x % 2 == 0 ? 600'000 : 10);
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  expect_own_output(pool.try_map(enlarge, numbers(0, 60), kLooksAway));
}

// What did not fit was never written; but what was is not another's.
TEST_F(OutputMisconductTest, APipeThatATaskHasMadeNonBlockingLosesNoMark) {
  const auto fill = [](int x) {
    test::work_for(4ms);
    ::fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    const std::string text(x % 2 == 0 ? 200'000 : 10, static_cast<char>('a' + x % 26));
    static_cast<void>(::write(STDOUT_FILENO, text.data(), text.size()));
    return x;
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  for (const auto& outcome : pool.try_map(fill, numbers(0, 60), kLooksAway)) {
    ASSERT_TRUE(outcome);
    EXPECT_THAT(outcome.output().out, Each(static_cast<char>('a' + *outcome % 26)));
  }
}

TEST_F(OutputMisconductTest, AWorkerWhoseStreamsATaskHasReplacedIsReplaced) {
  const auto replace = [](int x) {
    if (x % 4 != 3) return write_as_oneself(x, 10);
    std::array<int, 2> other{};
    EXPECT_EQ(::pipe(other.data()), 0);
    write_as_oneself(x, 10);
    for (int fd = 3; fd < 1000; ++fd) {
      if (fd != other[0] && fd != other[1] && ::fcntl(fd, F_GETFD) >= 0) ::dup2(other[1], fd);
    }
    return x;
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto outcomes = pool.try_map(replace, numbers(0, 20));
  for (std::size_t task = 0; task < outcomes.size(); ++task) {
    ASSERT_TRUE(outcomes[task]);
    if (task % 4 == 3) continue;  // what it wrote, it has lost
    EXPECT_EQ(outcomes[task].output().out, std::string(10, static_cast<char>('a' + task)));
  }
}

/// Reads back what the worker has put behind the output of a task, and says the same of another.
int forge(int x) {
  static std::array<char, 24> mark{};
  if (x == 0) return write_as_oneself(0, 10);
  if (x == 1) {
    const int own = ::open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
    std::array<char, 4096> text{};
    for (int looks = 0; looks < 1000 && mark[0] == 0; ++looks) {
      const ssize_t size = ::read(own, text.data(), text.size());
      if (size >= 24) std::copy_n(text.data() + size - 24, 24, mark.begin());
    }
    ::close(own);
    for (std::uint64_t later = 10; later < 2000; ++later) {
      std::memcpy(mark.data() + 16, &later, sizeof later);
      static_cast<void>(::write(STDOUT_FILENO, "forged", 6));
      static_cast<void>(::write(STDOUT_FILENO, mark.data(), mark.size()));
    }
    return x;
  }
  test::work_for(200us);
  return write_as_oneself(x, 10);
}

TEST_F(OutputMisconductTest, AMarkOfATaskThatHasNotBegunIsNotBelieved) {
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto outcomes = pool.try_map(forge, numbers(0, 1500), kLooksAway);
  for (std::size_t task = 2; task < outcomes.size(); ++task) {
    ASSERT_TRUE(outcomes[task]);
    EXPECT_EQ(outcomes[task].output().out.find("forged"), std::string::npos) << "task " << task;
  }
}

// ---------------------------------------------------------------------------------------------------
// Time

/// The host looks away for as long as a task may take; the task waits for it to be read.
TEST_F(OutputMisconductTest, TimeThatATaskWaitsToBeHeardIsNotItsOwn) {
  const auto print_much = [](int x) {
    test::work_for(120ms);  // so that there is progress to tell of
    return write_as_oneself(x, 300'000);
  };
  const auto look_away = [](const Progress& now) {
    if (now.done == 1) std::this_thread::sleep_for(2500ms);
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const CallOptions options{.progress = look_away, .timeout = 2s};
  const auto outcomes = pool.try_map(print_much, numbers(0, 5), options);
  expect_own_output(outcomes);
}

TEST_F(OutputMisconductTest, ATaskThatPrintsForEverIsOutOfTimeAllTheSame) {
  const auto print_for_ever = [](int x) {
    for (;;) write_as_oneself(x, 4096);
    return x;
  };
  Pool pool(Options{.workers = 1, .output = Output::discard});
  Pool captured(Options{.workers = 1, .output = Output::capture});
  for (Pool* each : {&pool, &captured}) {
    const auto outcomes = each->try_map(print_for_ever, {1}, CallOptions{.timeout = 300ms});
    EXPECT_EQ(outcomes.at(0).failure().kind(), FailureKind::timed_out);
  }
}

// ---------------------------------------------------------------------------------------------------
// Hosts

/// Its standard output is a pipe that nobody reads.
void in_a_host_that_is_not_heard(int flags, const std::function<void()>& body) {
  test::in_fork([&] {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    ::fcntl(ends[1], F_SETFL, flags);
    {
      const test::Replaced standard_output(STDOUT_FILENO, ends[1]);
      body();
    }
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

TEST_F(OutputMisconductTest, OfAHostThatNobodyReadsHoldsUpNoCallForLong) {
  for (const int flags : {0, O_NONBLOCK}) {
    in_a_host_that_is_not_heard(flags, [] {
      Logged told;
      {
        Pool pool(Options{.workers = 1, .output = Output::lines, .logger = told.logger});
        const auto shout = [](int x) {
          write_as_oneself(x, 30'000);
          return std::puts("");
        };
        EXPECT_THAT(pool.map(shout, numbers(0, 30)), SizeIs(30));
        std::jthread other([&pool] { pool.terminate(); });
      }
      EXPECT_THAT(told.text.str(), HasSubstr("output of tasks is dropped"));
    });
  }
}

TEST_F(OutputMisconductTest, IntoAFileThatMayNotGrowHarmsNotTheHost) {
  test::in_fork([] {
    std::FILE* file = std::tmpfile();
    std::optional<test::Replaced> standard_output(std::in_place, STDOUT_FILENO, ::fileno(file));
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
    Pool pool(Options{.workers = 1, .output = Output::lines});
    limit.rlim_cur = 4096;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const auto shout = [](int x) { return std::puts(std::string(1000, 'x').c_str()) >= 0 ? x : 0; };
    EXPECT_THAT(pool.map(shout, numbers(0, 30)), SizeIs(30));
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    standard_output.reset();
    std::fclose(file);
  });
}

// ---------------------------------------------------------------------------------------------------
// Copies of workers

TEST_F(OutputMisconductTest, AChildOfATaskMayLog) {
  Logged told;
  {
    Pool pool(Options{.workers = 1, .logger = told.logger});
    const auto log_in_child = [](int x) {
      const pid_t child = ::fork();
      if (child == 0) {
        spdlog::info("from the child of {}", x);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      return status;
    };
    EXPECT_THAT(pool.map(log_in_child, {1, 2, 3}), Each(0));
  }
  EXPECT_THAT(told.text.str(), HasSubstr("from the child of 2"));
}

TEST_F(OutputMisconductTest, TasksOfATasksOwnPoolMayLog) {
  Logged told;
  {
    Pool pool(Options{.workers = 1, .logger = told.logger});
    const auto log_within = [](int x) {
      const auto log = [](int y) {
        spdlog::info("from the task within, {}", y);
        return y;
      };
      return Pool(2).map(log, {x, x + 1}).back();
    };
    EXPECT_EQ(pool.apply(log_within, 6), 7);
  }
  EXPECT_THAT(told.text.str(), HasSubstr("from the task within, 6"));
  EXPECT_THAT(told.text.str(), HasSubstr("from the task within, 7"));
}

TEST_F(OutputMisconductTest, WorkersOfATasksOwnPoolHaveNothingToLose) {
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto count_workers = [](int) {
    Pool own(1);
    const auto ask = [](int) {
      static_cast<void>(this_task::stop_requested());
      return static_cast<int>(::getpid());
    };
    const std::vector<int> pids = own.map(ask, numbers(0, 10));
    return static_cast<int>(std::set(pids.begin(), pids.end()).size());
  };
  EXPECT_THAT(pool.map(count_workers, {1, 2}), Each(1));
}

}  // namespace
}  // namespace bulkhead
