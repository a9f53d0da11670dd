// SPDX-License-Identifier: MIT
//
// Options::trace: a file of events that Chrome and Perfetto read, with every attempt at a task.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include "worker/memory.hpp"
#include <bulkhead/bulkhead.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::numbers;
using ::testing::HasSubstr;

class TraceTest : public test::ProcessTest {
 protected:
  TraceTest() {
    std::string name = std::filesystem::temp_directory_path() / "bulkhead-trace-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~TraceTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return folder_ / "trace.json"; }
  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    out << std::ifstream(path()).rdbuf();
    return out.str();
  }
  [[nodiscard]] Options options(int workers) const { return {.workers = workers, .trace = path()}; }
  [[nodiscard]] json events() const { return json::parse(text()); }

 private:
  std::filesystem::path folder_;
};

std::vector<json> tasks_of(const json& events) {
  std::vector<json> tasks;
  std::copy_if(events.begin(), events.end(), std::back_inserter(tasks), [](const json& event) {
    return event.at("ph") == "X" && event.at("cat") == "task";
  });
  return tasks;
}

/// What is drawn in a row must lie side by side.
void expect_rows_in_order(const json& events) {
  std::map<int, double> ends;
  for (const json& event : events) {
    if (event.at("ph") != "X") continue;
    double& end = ends[event.at("tid")];
    EXPECT_GE(event.at("ts").get<double>() + 0.001, end) << event;
    EXPECT_GE(event.at("dur").get<double>(), 0.0) << event;
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
  }
}

int sleeps(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}
int increment(int x) {
  return x + 1;
}
int throws_first(int x) {
  if (this_task::attempt() == 1) throw std::runtime_error("again");
  return x;
}
std::string reversed(std::string text) {
  std::reverse(text.begin(), text.end());
  return text;
}

TEST_F(TraceTest, HasOneEventForEachTask) {
  {
    Pool pool(options(2));
    (void)pool.map(sleeps, std::vector<int>{20, 1, 1, 1}, {.label = "naps \"1\"\n\xff"});
    (void)pool.map(reversed, std::vector<std::string>(3, "abc"));
  }
  const json all = events();
  const auto tasks = tasks_of(all);
  ASSERT_EQ(tasks.size(), 7U);
  std::set<std::pair<int, int>> seen;
  for (const json& task : tasks) {
    const json& args = task.at("args");
    seen.emplace(args.at("call"), args.at("task"));
    EXPECT_EQ(args.at("outcome"), "value");
    EXPECT_EQ(args.at("attempt"), 1);
    EXPECT_EQ(task.at("name"), args.at("call") == 1 ? "naps \"1\"\n?" : "call 2");
    if (args.at("call") == 1 && args.at("task") == 0) {
      EXPECT_GE(task.at("dur").get<double>(), 20'000.0);
      EXPECT_LT(task.at("dur").get<double>(), 10'000'000.0);
    }
  }
  EXPECT_EQ(seen.size(), 7U);
  expect_rows_in_order(all);
}

TEST_F(TraceTest, NamesItsRowsAndCalls) {
  {
    Pool pool(options(2));
    (void)pool.map(increment, numbers(0, 10));
  }
  std::set<std::string> names;
  int begun = 0;
  int ended = 0;
  int starts = 0;
  for (const json& event : events()) {
    EXPECT_EQ(event.at("pid"), ::getpid());
    if (event.at("name") == "thread_name") names.insert(event.at("args").at("name"));
    begun += event.at("ph") == "b" ? 1 : 0;
    ended += event.at("ph") == "e" ? 1 : 0;
    if (event.at("name") != "start") continue;
    ++starts;
    EXPECT_GT(event.at("args").at("pid").get<int>(), 0);
  }
  EXPECT_EQ(names, (std::set<std::string>{"pool", "worker 0", "worker 1"}));
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(ended, 1);
  EXPECT_GE(starts, 1);
}

TEST_F(TraceTest, HasTinyTasksToo) {
  constexpr int kTasks = 30'000;
  {
    Pool pool(options(2));
    (void)pool.map(increment, numbers(0, kTasks));
  }
  const json all = events();
  const auto tasks = tasks_of(all);
  EXPECT_EQ(tasks.size(), static_cast<std::size_t>(kTasks));
  double longest = 0;
  for (const json& task : tasks) longest = std::max(longest, task.at("dur").get<double>());
  EXPECT_GT(longest, 0.0);
  expect_rows_in_order(all);
}

TEST_F(TraceTest, ShowsCrashesAndTheirWorkers) {
  {
    Pool pool(options(2));
    (void)pool.try_map(test::only_at<3, test::aborts>, numbers(0, 10));
    (void)pool.try_map(sleeps, std::vector<int>{60'000}, {.timeout = 50ms});
  }
  const json all = events();
  std::map<std::string, int> outcomes;
  for (const json& task : tasks_of(all)) {
    ++outcomes[task.at("args").at("outcome")];
    if (task.at("args").at("outcome") == "crashed") EXPECT_EQ(task.at("args").at("task"), 3);
    if (task.at("args").at("outcome") == "timed_out") EXPECT_GE(task.at("dur"), 50'000.0);
  }
  EXPECT_EQ(outcomes.at("value"), 9);
  EXPECT_EQ(outcomes.at("crashed"), 1);
  EXPECT_EQ(outcomes.size(), 3U);
  std::vector<std::string> causes;
  for (const json& event : all) {
    if (event.at("name") == "end") causes.push_back(event.at("args").at("cause"));
  }
  EXPECT_THAT(causes, ::testing::Contains(HasSubstr("SIGABRT")));
  EXPECT_GE(causes.size(), 4U);
  expect_rows_in_order(all);
}

TEST_F(TraceTest, HasEachAttempt) {
  {
    Pool pool(options(1));
    (void)pool.map(throws_first, numbers(0, 3), {.retries = {.exceptions = 1}});
  }
  std::multiset<std::pair<int, std::string>> attempts;
  for (const json& task : tasks_of(events()))
    attempts.emplace(task.at("args").at("attempt"), task.at("args").at("outcome"));
  EXPECT_EQ(attempts.count({1, "exception"}), 3U);
  EXPECT_EQ(attempts.count({2, "value"}), 3U);
  EXPECT_EQ(attempts.size(), 6U);
}

TEST_F(TraceTest, IsMadeOfInlineTasksToo) {
  {
    Options inside = options(2);
    inside.inline_execution = true;
    Pool pool(inside);
    (void)pool.try_map(throws_first, numbers(0, 2), {.retries = {.exceptions = 1}});
    (void)pool.map(sleeps, std::vector<int>{10});
  }
  const json all = events();
  EXPECT_EQ(tasks_of(all).size(), 5U);
  expect_rows_in_order(all);
}

TEST_F(TraceTest, LacksItsLastBracketWhereTheProgramWasKilled) {
  test::Fork victim([&] {
    Pool pool(options(1));
    for (;;) (void)pool.map(increment, numbers(0, 1000));
  });
  ASSERT_TRUE(test::eventually([&] { return text().size() > 500'000; }));
  victim.process().send(SIGKILL);
  victim.wait();
  const std::string text = this->text();
  EXPECT_FALSE(json::accept(text));
  EXPECT_TRUE(json::accept(text + "]"));
}

TEST_F(TraceTest, ThatCannotBeMadeIsAnErrorOfTheConstructor) {
  EXPECT_THROW(Pool(Options{.workers = 1, .trace = "/nowhere/trace.json"}), SystemError);
  EXPECT_THROW(Pool(Options{.workers = 1, .trace = "/dev/full"}), SystemError);
  EXPECT_THROW(Pool(Options{.trace = "/nowhere/trace.json", .inline_execution = true}), SystemError);
}

/// The pool goes on, and the file holds whole events.
TEST_F(TraceTest, EndsWhereTheDiskIsFull) {
  test::in_fork([&] {
    std::ostringstream log;
    Options small = options(1);
    small.logger = std::make_shared<spdlog::logger>(
        "log", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
    Pool pool(small);
    const rlimit limit{300'000, RLIM_INFINITY};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_EQ(pool.map(increment, numbers(0, 10'000)).size(), 10'000U);
    EXPECT_EQ(pool.map(increment, numbers(0, 10)).size(), 10U);
    EXPECT_THAT(log.str(), HasSubstr("the trace ends here"));
    EXPECT_THAT(log.str(), HasSubstr("File too large"));
  });
  EXPECT_LE(text().size(), 300'000U);
  EXPECT_TRUE(json::accept(text() + "]"));
}

int scribbles_over_its_times(int x) {
  std::minstd_rand random(static_cast<unsigned>(x) + 1);
  static const std::span<std::byte> outbox = test::writable_outbox();
  for (std::byte& byte : outbox.last(detail::kTraceRecords * sizeof(detail::TraceRecord)))
    byte = static_cast<std::byte>(random() >> 8U);
  return x;
}

TEST_F(TraceTest, OfAWorkerThatLiesIsWrongAndNoMore) {
  {
    Pool pool(options(2));
    for (int round = 0; round < 5; ++round)
      EXPECT_EQ(pool.map(scribbles_over_its_times, numbers(0, 20)), numbers(0, 20));
  }
  const json all = events();
  EXPECT_EQ(tasks_of(all).size(), 100U);
  expect_rows_in_order(all);
}

}  // namespace
}  // namespace bulkhead
