// SPDX-License-Identifier: MIT
//
// What tasks write and log: where it goes, whole, in order and with its origin.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/replaced.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace bulkhead {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using OutputTest = test::ProcessTest;
using test::numbers;
using test::Replaced;

std::string text_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int letter = 0; (letter = std::fgetc(file)) != EOF;) text += static_cast<char>(letter);
  std::fclose(file);
  return text;
}

/// What descriptors 1 and 2 get while `body` runs, in a copy of this process.
std::pair<std::string, std::string> written_by(const std::function<void()>& body) {
  std::FILE* out = std::tmpfile();
  std::FILE* err = std::tmpfile();
  test::in_fork([&] {
    const Replaced standard_output(STDOUT_FILENO, ::fileno(out));
    const Replaced standard_error(STDERR_FILENO, ::fileno(err));
    body();
  });
  return {text_of(out), text_of(err)};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

int chatter(int x) {
  std::printf("one of %d\n", x);
  std::cout << "two of " << x << "\n";
  std::fprintf(stderr, "three ");
  std::cerr << "of " << x << "\n";
  return x;
}

TEST_F(OutputTest, InLinesIsWholeAndSaysWhoseItIs) {
  const auto [out, err] = written_by([] {
    Pool pool(Options{.workers = 2, .output = Output::lines});
    EXPECT_EQ(pool.map(chatter, numbers(0, 200)).size(), 200U);
  });
  std::map<std::string, int> seen;
  for (const std::string& line : lines_of(out)) {
    EXPECT_THAT(line, MatchesRegex("\\[worker [01], task [0-9]+\\] (one|two) of [0-9]+"));
    const std::size_t task = line.find("task ") + 5;
    EXPECT_EQ(line.substr(task, line.find(']') - task), line.substr(line.rfind(' ') + 1)) << line;
    ++seen[line.substr(line.find("] ") + 2)];
  }
  EXPECT_EQ(seen.size(), 400U);
  EXPECT_EQ(lines_of(err).size(), 200U);
  for (const std::string& line : lines_of(err)) {
    EXPECT_THAT(line, MatchesRegex("\\[worker [01], task [0-9]+\\] three of [0-9]+"));
  }
}

TEST_F(OutputTest, InLinesIsThereBeforeTheCallReturns) {
  const auto [out, err] = written_by([] {
    Pool pool(Options{.workers = 1, .output = Output::lines});
    for (int call = 0; call < 20; ++call) {
      pool.apply(chatter, call);
      const std::string text = "done " + std::to_string(call) + "\n";
      EXPECT_EQ(::write(STDOUT_FILENO, text.data(), text.size()),
                static_cast<ssize_t>(text.size()));
    }
  });
  const auto lines = lines_of(out);
  ASSERT_EQ(lines.size(), 60U);
  for (std::size_t call = 0; call < 20; ++call) {
    EXPECT_EQ(lines[3 * call + 2], "done " + std::to_string(call));
  }
}

// Which of many threads has a line is not to be seen, but that it is whole.
TEST_F(OutputTest, InLinesOfManyWritesAndLongLinesIsNotMixed) {
  const auto write_in_bits = [](int x) {
    const std::string line = std::string(3000, static_cast<char>('a' + x % 26)) + "\n";
    for (int round = 0; round < 20; ++round) {
      for (std::size_t at = 0; at < line.size(); at += 500) {
        const auto bit = std::string_view(line).substr(at, 500);
        if (::write(STDOUT_FILENO, bit.data(), bit.size()) < 0) throw std::runtime_error("write");
      }
    }
    return x;
  };
  const auto [out, err] = written_by([&] {
    Pool pool(Options{.workers = 2, .output = Output::lines});
    EXPECT_EQ(pool.map(write_in_bits, numbers(0, 40)).size(), 40U);
  });
  const auto lines = lines_of(out);
  EXPECT_EQ(lines.size(), 800U);
  for (const std::string& line : lines) {
    const std::string text = line.substr(line.find("] ") + 2);
    ASSERT_EQ(text.size(), 3000U);
    EXPECT_EQ(text.find_first_not_of(text[0]), std::string::npos);
  }
}

TEST_F(OutputTest, InLinesOfATaskThatDiesOrLeavesItsLineUnfinishedIsThere) {
  const auto stumble = [](int x) {
    std::printf("%d begins", x);
    std::fflush(stdout);
    if (x == 1) std::raise(SIGKILL);
    return x;
  };
  const auto [out, err] = written_by([&] {
    Pool pool(Options{.workers = 1, .output = Output::lines});
    EXPECT_FALSE(pool.try_map(stumble, {0, 1, 2}).at(1));
  });
  EXPECT_THAT(lines_of(out),
              ElementsAre("[worker 0, task 0] 0 begins", "[worker 0, task 1] 1 begins",
                          "[worker 0, task 2] 2 begins"));
}

TEST_F(OutputTest, OfTheInitializerIsTheWorkersOwn) {
  const auto [out, err] = written_by([] {
    Pool pool(
        Options{.workers = 1, .initializer = [] { std::puts("hello"); }, .output = Output::lines});
    EXPECT_EQ(pool.apply([] { return 1; }), 1);
  });
  EXPECT_EQ(out, "[worker 0] hello\n");
}

TEST_F(OutputTest, GoesNowhereIfItIsDiscarded) {
  const auto [out, err] = written_by([] {
    Pool pool(Options{.workers = 2, .output = Output::discard});
    EXPECT_EQ(pool.map(chatter, numbers(0, 10)).size(), 10U);
  });
  EXPECT_THAT(out, IsEmpty());
  EXPECT_THAT(err, IsEmpty());
}

TEST_F(OutputTest, IsInTheOutcomeIfItIsCaptured) {
  const auto [out, err] = written_by([] {
    Pool pool(Options{.workers = 2, .output = Output::capture});
    const auto outcomes = pool.try_map(chatter, numbers(0, 500));
    for (std::size_t task = 0; task < outcomes.size(); ++task) {
      const std::string number = std::to_string(task);
      EXPECT_EQ(outcomes[task].output().out, "one of " + number + "\ntwo of " + number + "\n");
      EXPECT_EQ(outcomes[task].output().err, "three of " + number + "\n");
    }
  });
  EXPECT_THAT(out, IsEmpty());
  EXPECT_THAT(err, IsEmpty());
}

TEST_F(OutputTest, OfFailedTasksIsInTheirFailures) {
  const auto fail = [](int x) {
    std::fprintf(stderr, "at %d", x);
    if (x == 1) throw std::runtime_error("thrown");
    if (x == 2) std::abort();
    if (x == 3) ::_exit(0);
    return x;
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto outcomes = pool.try_map(fail, numbers(0, 5));
  for (std::size_t task = 0; task < outcomes.size(); ++task) {
    EXPECT_EQ(outcomes[task].output().err, "at " + std::to_string(task));
  }
  EXPECT_EQ(outcomes[2].failure().output().err, "at 2");
  try {
    pool.apply(fail, 1);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().output().err, "at 1");
  }
}

TEST_F(OutputTest, OfEachAttemptIsKept) {
  const auto fail = [](int) {
    std::printf("attempt %d", this_task::attempt());
    throw std::runtime_error("thrown");
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto outcomes = pool.try_map(fail, {1}, CallOptions{.retries = {.exceptions = 2}});
  const Failure& failure = outcomes.at(0).failure();
  EXPECT_EQ(failure.output().out, "attempt 3");
  ASSERT_EQ(failure.earlier().size(), 2U);
  EXPECT_EQ(failure.earlier()[0].output().out, "attempt 1");
}

TEST_F(OutputTest, OfTooMuchTheEndIsCaptured) {
  const auto write_much = [](int megabytes) {
    const std::string line(1023, 'x');
    for (int i = 0; i < megabytes * 1024; ++i) std::puts(line.c_str());
    std::printf("the end");
    return megabytes;
  };
  Pool pool(Options{.workers = 2, .output = Output::capture});
  for (const auto& outcome : pool.try_map(write_much, {3, 1, 2})) {
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome.output().out.size(), TaskOutput::kCaptured);
    EXPECT_THAT(outcome.output().out, EndsWith("x\nthe end"));
  }
}

TEST_F(OutputTest, OfProgramsThatATaskRunsIsTheTasks) {
  const auto run = [](int x) {
    return std::system(("echo from " + std::to_string(x) + "; echo err >&2").c_str());
  };
  Pool pool(Options{.workers = 2, .output = Output::capture});
  const auto outcomes = pool.try_map(run, numbers(0, 20));
  for (std::size_t task = 0; task < outcomes.size(); ++task) {
    EXPECT_EQ(outcomes[task].output().out, "from " + std::to_string(task) + "\n");
    EXPECT_EQ(outcomes[task].output().err, "err\n");
  }
}

TEST_F(OutputTest, OfTasksThatCloseAllDescriptorsIsLostAndNothingElse) {
  const auto close_all = [](int x) {
    for (int fd = 1; fd < 1000; ++fd) ::close(fd);
    return x;
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  static_cast<void>(pool.try_map(close_all, {1}));
  const auto outcomes = pool.try_map(chatter, {1, 2});
  EXPECT_EQ(outcomes.at(0).output().err, "three of 1\n");
  EXPECT_EQ(outcomes.at(1).output().err, "three of 2\n");
}

// A host whose standard output nobody reads any more is not ended by that.
TEST_F(OutputTest, IntoABrokenPipeHarmsNotTheHost) {
  test::in_fork([] {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const Replaced standard_output(STDOUT_FILENO, ends[1]);
    ::close(ends[0]);
    ::close(ends[1]);
    std::signal(SIGPIPE, SIG_DFL);
    Pool pool(Options{.workers = 1, .output = Output::lines});
    EXPECT_EQ(pool.map(chatter, numbers(0, 10)).size(), 10U);
  });
}

TEST_F(OutputTest, OfTheHostIsNotTouched) {
  const auto [out, err] = written_by([] {
    std::printf("unflushed");
    Pool pool(Options{.workers = 1, .output = Output::lines});
    pool.apply([] { std::puts("task"); });
    std::fflush(stdout);
  });
  EXPECT_EQ(out, "[worker 0, task 0] task\nunflushed");
}

struct Logged {
  std::ostringstream text;
  std::shared_ptr<spdlog::logger> logger = std::make_shared<spdlog::logger>(
      "host", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
  Logged() { logger->set_pattern("%l %v"); }
};

TEST_F(OutputTest, OfLoggersReachesTheOneOfThePoolInOrderAndWithItsOrigin) {
  Logged host;
  Pool pool(Options{.workers = 2, .logger = host.logger});
  const auto log = [](int x) {
    for (int i = 0; i < 10; ++i) spdlog::info("message {} of {}", i, x);
    spdlog::warn("{} ends", x);
    return x;
  };
  EXPECT_EQ(pool.map(log, numbers(0, 50)).size(), 50U);
  std::map<int, std::vector<std::string>> by_task;
  for (const std::string& line : lines_of(host.text.str())) {
    std::istringstream in(line);
    std::string level, worker, number, task;
    int index = -1;
    in >> level >> worker >> number >> task >> index;
    if (worker != "[worker") continue;
    by_task[index].push_back(level + line.substr(line.find(']') + 1));
  }
  EXPECT_EQ(by_task.size(), 50U);
  for (const auto& [task, lines] : by_task) {
    ASSERT_EQ(lines.size(), 11U);
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(lines[static_cast<std::size_t>(i)],
                "info message " + std::to_string(i) + " of " + std::to_string(task));
    }
    EXPECT_EQ(lines[10], "warning " + std::to_string(task) + " ends");
  }
}

TEST_F(OutputTest, OfALoggerOfATaskThatDiesArrivesBeforeTheNewsOfItsDeath) {
  Logged host;
  Pool pool(Options{.workers = 1, .logger = host.logger});
  const auto log = [](int x) {
    spdlog::error("about to die");
    if (x == 1) std::raise(SIGKILL);
  };
  EXPECT_THROW(pool.apply(log, 1), CrashError);
  const std::string text = host.text.str();
  const std::size_t last_words = text.find("error [worker 0, task 0] about to die");
  ASSERT_NE(last_words, std::string::npos) << text;
  EXPECT_GT(text.find("ended"), last_words) << text;
}

TEST_F(OutputTest, OfALoggerDoesNotReachTheSinksOfTheHostASecondTime) {
  Logged host;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(host.logger);
  {
    Pool pool(Options{.workers = 1, .logger = host.logger});
    pool.apply([] { spdlog::info("once"); });
  }
  spdlog::set_default_logger(before);
  EXPECT_THAT(lines_of(host.text.str()),
              ::testing::Contains(Eq("info [worker 0, task 0] once")).Times(1));
}

TEST_F(OutputTest, OfFailedAssertionsIsTheTextOfTheFailure) {
  Pool pool(Options{.workers = 1, .output = Output::discard});
  const auto outcome = pool.try_map([](int x) { assert(x == 2); }, {1});
  EXPECT_THAT(outcome.at(0).failure().what(), HasSubstr("x == 2"));
}

// Where the tests are built with AddressSanitizer.
TEST_F(OutputTest, OfASanitizerIsTheTextOfTheFailure) {
  if (!test::kAddressSanitizer) GTEST_SKIP() << "only with AddressSanitizer";
  const auto use_after_free = [](int x) {
    auto* number = new int(x);
    delete number;
    return *static_cast<volatile int*>(number);
  };
  Pool pool(Options{.workers = 1, .output = Output::capture});
  const auto outcomes = pool.try_map(use_after_free, {1});
  const Failure& failure = outcomes.at(0).failure();
  EXPECT_THAT(failure.what(), HasSubstr("AddressSanitizer: heap-use-after-free"));
  EXPECT_THAT(failure.what(), HasSubstr("output_test.cpp"));
  EXPECT_THAT(failure.output().err, HasSubstr("freed by thread"));
}

}  // namespace
}  // namespace bulkhead
