// SPDX-License-Identifier: MIT
//
// Processes that tests start: copies of the test program in which a pool can meet conditions that
// the program itself must be spared (limits, signals, death), and handles to wait for any process.
#pragma once

#include "tests/support/footprint.hpp"
#include "tests/support/shared.hpp"
#include "worker/descriptor.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>

namespace bulkhead::test {

/// A process, for waiting, whatever becomes of its number.
class Process {
 public:
  /// `pid` is alive, or not reaped yet.
  explicit Process(pid_t pid);

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// True once it has ended, reaped or not.
  [[nodiscard]] bool ends_within(std::chrono::milliseconds limit) const;
  void send(int signal) const;

 private:
  pid_t pid_;
  bulkhead::detail::Descriptor fd_;
};

/// A fork of this process that runs `body` and then leaves by _exit(). EXPECT and ASSERT in `body`
/// count for the test. What the fork itself leaves behind is waited for, and reaped. It is prepared
/// for the start method that is tested (prepare_start()), after `before_start`.
class Fork {
 public:
  explicit Fork(
      const std::function<void()>& body, const std::function<void()>& before_start = [] {});
  Fork(const Fork&) = delete;
  Fork& operator=(const Fork&) = delete;
  /// Kills it if it still runs.
  ~Fork();

  [[nodiscard]] const Process& process() const { return *process_; }
  /// Waits until it ends, and kills it after the limit; its wait status (see waitpid(2)).
  int wait(std::chrono::milliseconds limit = std::chrono::seconds{100});

 private:
  void adopt_and_reap();

  std::set<int> siblings_;
  std::optional<Process> process_;
  std::optional<int> status_;
};

/// Expects that children of this process but `siblings` end within the limit, all together: those
/// of a process that is dead, and theirs, which are children once these have ended. Reaps them.
void expect_orphans_end(const std::set<int>& siblings, std::chrono::milliseconds limit);

/// Asks a pool for all that it can be asked for: results, a crash and a recovery.
void expect_usable(Pool& pool);

/// Broadcasts cannot be used here: a task that needs one fails with an error that says `why`.
void expect_no_broadcasts(Pool& pool, const std::string& why);

/// Makes a pool, asks it for all that the above does, for large values, a broadcast and the end of
/// a task that hangs, and ends it in order.
void expect_everything_works();

/// Runs `body` in a Fork, which must end well and keep its own footprint.
void in_fork(const std::function<void()>& body,
             std::chrono::milliseconds limit = std::chrono::seconds{100});

/// The limit within which a process that is killed must be gone.
[[nodiscard]] std::chrono::milliseconds soon();

/// The processes of a pool that is open and idle.
[[nodiscard]] pid_t zygote_of(Pool& pool);
[[nodiscard]] std::set<int> workers_of(Pool& pool);
/// The children of a zygote that have a place in the pool: without the one that stands by.
[[nodiscard]] std::set<int> workers_under(pid_t zygote);

/// The children of a zygote that have been told their place: without those that are starting, too.
[[nodiscard]] std::set<int> placed_workers_under(pid_t zygote);

/// A handle of `pid` if that is a child of `parent` still.
[[nodiscard]] std::optional<Process> child_of(pid_t parent, pid_t pid);
/// Kills `pid` if it is a child of `parent` still.
void kill_child_of(pid_t parent, pid_t pid);

}  // namespace bulkhead::test
