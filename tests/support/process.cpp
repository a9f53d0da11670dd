// SPDX-License-Identifier: MIT
#include "tests/support/process.hpp"

#include "tests/support/numbers.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/start.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead::test {
namespace {

constexpr int kFailed = 3;

[[noreturn]] void run_and_leave(const std::function<void()>& before_start,
                                const std::function<void()>& body) {
  const bool failed_before = ::testing::Test::HasFailure();
  try {
    before_start();
    prepare_start();
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "uncaught in a fork: " << error.what();
  } catch (...) {
    ADD_FAILURE() << "uncaught in a fork: not a std::exception";
  }
  const bool failed = !failed_before && ::testing::Test::HasFailure();
  std::fflush(nullptr);
  ::_exit(failed ? kFailed : 0);
}

pid_t parent_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (status >> word) {
    if (word != "PPid:") continue;
    pid_t parent = 0;
    status >> parent;
    return parent;
  }
  return 0;
}

}  // namespace

Process::Process(pid_t pid) : pid_(pid), fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "pidfd_open");
}

bool Process::ends_within(std::chrono::milliseconds limit) const {
  pollfd fd{fd_.get(), POLLIN, 0};
  return ::poll(&fd, 1, static_cast<int>(limit.count())) == 1;
}

void Process::send(int signal) const {
  ::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0);
}

Fork::Fork(const std::function<void()>& body, const std::function<void()>& before_start)
    : siblings_(children_of(::getpid())) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) run_and_leave(before_start, body);
  process_.emplace(pid);
}

Fork::~Fork() {
  if (!status_) {
    process_->send(SIGKILL);
    wait();
  }
}

int Fork::wait(std::chrono::milliseconds limit) {
  if (!process_->ends_within(limit)) {
    ADD_FAILURE() << "a fork did not end in time";
    process_->send(SIGKILL);
  }
  int status = 0;
  ::waitpid(process_->pid(), &status, 0);
  status_ = status;
  adopt_and_reap();
  return status;
}

void Fork::adopt_and_reap() {
  siblings_.insert(process_->pid());
  expect_orphans_end(siblings_, kPatience);
}

void expect_orphans_end(const std::set<int>& siblings, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto is_orphan = [&siblings](int pid) { return !siblings.contains(pid); };
  for (;;) {
    const std::set<int> children = children_of(::getpid());
    const auto found = std::ranges::find_if(children, is_orphan);
    if (found == children.end()) return;
    const Process orphan(*found);
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    EXPECT_TRUE(orphan.ends_within(std::max(left, std::chrono::milliseconds{0})))
        << "process " << *found << " lives on";
    orphan.send(SIGKILL);
    ::waitpid(*found, nullptr, 0);
  }
}

void expect_usable(Pool& pool) {
  const auto same = [](int x) { return x; };
  EXPECT_EQ(pool.map(same, numbers(0, 500)), numbers(0, 500));
  EXPECT_THROW((void)pool.apply(kills_itself, 0), CrashError);
  const auto outcomes = pool.try_map(only_at<7, segfaults>, numbers(0, 20));
  for (int x = 0; x < 20; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x != 7);
}

void expect_no_broadcasts(Pool& pool, const std::string& why) {
  const auto table = broadcast(std::vector<double>(100, 1.0));
  const auto read = [](const Broadcast<double[]>& numbers, int) { return numbers[0]; };
  const auto outcomes = pool.try_map(partial(read, table), {1});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::exception);
  EXPECT_THAT(outcomes[0].failure().what(), ::testing::HasSubstr(why));
}

void expect_everything_works() {
  Pool pool(2);
  expect_usable(pool);
  const auto crash = pool.try_map(segfaults, {1});
  EXPECT_EQ(crash.at(0).failure().signal(), SIGSEGV) << crash[0].failure().what();
  const auto twice = [](const std::string& text) { return text + text; };
  EXPECT_EQ(pool.apply(twice, std::string(2'000'000, 'x')), std::string(4'000'000, 'x'));
  const auto table = broadcast(std::vector<double>(1000, 0.5));
  const auto read = [](const Broadcast<double[]>& numbers, int i) {
    return numbers[static_cast<std::size_t>(i)];
  };
  EXPECT_EQ(pool.map(partial(read, table), numbers(0, 10)), std::vector<double>(10, 0.5));
  const auto hang_at_3 = [](int x) {
    while (x == 3) ::pause();
    return x;
  };
  const CallOptions options{.timeout = std::chrono::milliseconds{200}};
  const auto outcomes = pool.try_map(hang_at_3, numbers(0, 6), options);
  for (int x = 0; x < 6; ++x) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x == 3 ? -1 : x);
  }
  EXPECT_EQ(outcomes[3].failure().kind(), FailureKind::timed_out);
  pool.close();
  pool.join();
}

void in_fork(const std::function<void()>& body, std::chrono::milliseconds limit) {
  Fork fork([&body] {
    const Footprint before = Footprint::now();
    body();
    expect_unchanged(before);
  });
  const int status = fork.wait(limit);
  EXPECT_TRUE(WIFEXITED(status)) << "the fork died of signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "expectations failed in the fork, see above";
}

std::chrono::milliseconds soon() {
  return std::chrono::seconds{kSanitized ? 5 : 1};
}

pid_t zygote_of(Pool& pool) {
  return pool.apply(::getppid);
}

std::set<int> workers_of(Pool& pool) {
  return workers_under(zygote_of(pool));
}

std::set<int> workers_under(pid_t zygote) {
  std::set<int> workers;
  const auto all_have_their_names = [&] {
    workers.clear();
    for (const int child : children_of(zygote)) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(child) + "/comm"), name);
      if (name == "bulkhead-zygote") return false;
      if (name != "bulkhead-spare") workers.insert(child);
    }
    return true;
  };
  EXPECT_TRUE(eventually(all_have_their_names));
  return workers;
}

std::set<int> placed_workers_under(pid_t zygote) {
  std::set<int> placed;
  for (const int pid : children_of(zygote)) {
    std::string name;
    std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
    constexpr std::string_view kPrefix = "bulkhead-";
    if (name.size() > kPrefix.size() && name.starts_with(kPrefix) &&
        std::isdigit(static_cast<unsigned char>(name[kPrefix.size()])) != 0) {
      placed.insert(pid);
    }
  }
  return placed;
}

std::optional<Process> child_of(pid_t parent, pid_t pid) {
  try {
    Process process(pid);
    // The handle is taken first, so this is the parent of the process that signals will reach.
    if (parent_of(pid) == parent) return process;
  } catch (const std::system_error&) {
    return std::nullopt;  // gone already
  }
  return std::nullopt;
}

void kill_child_of(pid_t parent, pid_t pid) {
  if (const auto child = child_of(parent, pid)) child->send(SIGKILL);
}

}  // namespace bulkhead::test
