// SPDX-License-Identifier: MIT
//
// What can be chosen about a pool, and about one call. Everything has a default that serves.
#pragma once

#include <bulkhead/hook.hpp>
#include <bulkhead/limits.hpp>
#include <bulkhead/output.hpp>
#include <bulkhead/testing.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace spdlog {
class logger;
}

namespace bulkhead {

/// How workers come to be.
enum class StartMethod : std::uint8_t {
  /// Forked from a snapshot of this process taken by the Pool's constructor: workers see all that
  /// was in memory then. Refused if the process has other threads at that moment.
  fork,
  /// Forked from a snapshot of this process taken by bulkhead::init(): pools can be made in any
  /// thread, at any time, and cost the same however large this process has become. Its workers have
  /// the environment, directory, limits and standard streams of that moment.
  forkserver,
  /// Forked from this program started anew, as far as bulkhead::init(): workers share no memory
  /// with this process, and have its present environment and directory.
  spawn,
};

/// Options of a pool.
struct Options {
  /// Worker processes, 1 to 1024. Default: one per CPU that this process may use (affinity and
  /// cgroup quota).
  std::optional<int> workers = std::nullopt;

  /// Runs in each worker before its first task. If it throws, that worker does not start; if it
  /// keeps throwing, the pool is broken and says why.
  Hook initializer = nullptr;
  /// Longest time from the fork of a worker to the end of its initializer. A worker that takes
  /// longer is killed, and counts as one whose initializer has thrown. Default: no limit.
  std::optional<std::chrono::nanoseconds> initializer_timeout = std::nullopt;
  /// Runs in each worker that leaves in order: after close() and join(), not after terminate().
  /// What it throws goes to the logger only.
  Hook finalizer = nullptr;

  /// What each worker may use: see limits.hpp.
  Limits limits = {};

  /// A worker that has run so many tasks leaves in order, with its finalizer, and another takes its
  /// place: for tasks that leak. Default: workers live as long as the pool.
  std::optional<std::uint64_t> max_tasks_per_worker = std::nullopt;
  /// The same for a worker that has grown by so many bytes of resident memory since it was ready,
  /// looked at between tasks, every 10 ms at the most.
  std::optional<std::uint64_t> recycle_rss = std::nullopt;

  /// A worker that has had nothing to do for so long leaves in order, with its finalizer, down to
  /// none. It notes that by itself, however little the pool is used. When there is more to do than
  /// the workers that are left can take, others are forked from the snapshot, no more than there is
  /// work for: the first call after a pause waits for a fork and the initializer, and, if the last
  /// worker is just leaving, for its finalizer. One process that holds the snapshot stays, and the
  /// one that stands by. Pool::workers() counts those that have left, too. Default: workers stay.
  std::optional<std::chrono::nanoseconds> idle_timeout = std::nullopt;

  /// Each worker stays on one of the CPUs that this process may use, worker n on the n-th.
  bool pin_workers = false;

  /// What becomes of that which tasks write to standard output and standard error.
  Output output = Output::inherit;

  /// Default: what bulkhead::init() was told, forkserver as a rule; fork if it was not called in
  /// this process. fork_map always forks.
  std::optional<StartMethod> start = std::nullopt;

  /// Gets what happens to workers: starts, crashes, refused forks. And what tasks log: in workers,
  /// this logger, spdlog's default logger and all registered ones write here, each message in the
  /// worker's order and with its origin, "[worker 1, task 17] text", while a call of the pool is
  /// served. Default: nothing is logged, and loggers in workers are as they were forked.
  std::shared_ptr<spdlog::logger> logger = nullptr;

  /// Bytes of each of a worker's two rings, 4 KiB to 1 GiB, rounded up to a power of two. Larger
  /// values stream through. Memory is used only as far as it is needed.
  std::size_t ring_bytes = std::size_t{1} << 20;

  /// For tests: what is to happen to workers, see testing.hpp.
  std::vector<fault::Fault> faults = {};

  /// Of calls that are made one by one (submit, apply_async) so many may be under way before
  /// submit() waits and try_submit() refuses; 1 or more. They do so too when the arguments of those
  /// take 64 MiB as encoded.
  std::size_t max_in_flight = 16384;

  /// Calls that nobody waits for (map_async and the like) are looked after by a thread, which the
  /// first of them starts and the destructor of the pool ends: named bulkhead-pool, with all
  /// signals blocked. It also runs callbacks. A Pool that is made later counts it among this
  /// process's threads. False: no thread is ever started; such calls get on while some thread waits
  /// for any call of the pool, and callbacks run in a thread that waits.
  bool helper_thread = true;

  /// Of StartMethod::fork: fork even if this process has other threads. Any lock that one of them
  /// holds at that moment stays locked for ever in every worker: malloc is safe, most other
  /// libraries are not.
  bool risk_locks_held_by_other_threads = false;

  /// For debugging: tasks run in the calling process and thread, one at a time, and no process,
  /// thread or shared memory is made. Results and errors are the same: arguments, callables and
  /// results go through their codecs, retries, stops and progress are as ever. But what a task
  /// does to its process it does to this one: a crash is yours, fork_map's captures are not copies,
  /// the initializer (before the first task) and the finalizer (in join()) run here. Nothing can
  /// end a task: a timeout is only what this_task::stop_requested() and deadline() say; a task that
  /// asks, and is told that its time is up, fails. Limits and all that is about worker processes
  /// have no effect; Pool::workers() is what it would be otherwise.
  ///
  /// The environment variable BULKHEAD_INLINE decides for all pools of a process, whatever their
  /// options say: 1 is true, 0 is false. Unset or empty, it leaves this to the options; anything
  /// else makes the Pool's constructor throw InvalidArgument.
  bool inline_execution = false;

  /// A directory, which must be there, for tasks that have failed for good (they threw, crashed,
  /// timed out, or memory did not suffice). For each a file CALL-TASK.bulkhead is written that only
  /// its owner can read, with the bytes of the callable and of the argument, which is encoded once
  /// more for that: of the first 100 of each call, and up to 1 GiB. CALL counts the calls that have
  /// left files there. Failure::replay_file() names the file; replay.hpp says how to run it again.
  /// What cannot be saved is told to the logger. Left out are tasks whose argument could not be
  /// encoded, or whose result not decoded: that happens in this process. Empty: nothing is saved.
  /// The Pool's constructor throws InvalidArgument if it is not a directory, SystemError if it
  /// cannot be used; fork_map, which sends no bytes, throws InvalidArgument if it is set at all.
  std::string replay_dir = {};

  /// A file, which is made or emptied, for a trace of all tasks: when each began and ended, where,
  /// and how; also the starts and ends of workers, and the calls. To be opened with
  /// https://ui.perfetto.dev or chrome://tracing (JSON). Written while calls are served; complete
  /// when the pool has ended, readable before. Each task costs some 0.4 us more, 150 bytes of the
  /// file, and each worker 200 KiB of memory. If the file cannot be written any more, the logger is
  /// told, and the trace ends. The Pool's constructor throws SystemError if it cannot be made.
  /// Empty: nothing is traced.
  std::string trace = {};
};

/// How far a call has come.
struct Progress {
  std::uint64_t done = 0;              ///< tasks that have ended, failed ones included
  std::uint64_t failed = 0;            ///< tasks that have failed
  std::optional<std::uint64_t> total;  ///< elements of the range, if that is known yet
  std::chrono::nanoseconds elapsed{};  ///< since the call began

  // Of a keyed job (see Pool::map_reduce_by_key) only.

  std::uint64_t bytes = 0;                                  ///< of input that have been done
  std::optional<std::uint64_t> total_bytes = std::nullopt;  ///< of files
  std::uint64_t pairs = 0;                                  ///< that mappers have emitted
  std::uint64_t spilled = 0;                                ///< bytes on disks
  std::uint64_t partitions = 0;  ///< of the keys, which are reduced when all tasks have ended
  std::uint64_t reduced = 0;     ///< of those
  std::chrono::nanoseconds reducing{0};  ///< time that has taken so far

  /// Time that is left, if it goes on like that; of a keyed job, to the end of what it is at.
  /// Nothing if the total is not known, or nothing is done.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> remaining() const;
};

namespace detail {
/// Stands before fields that have to be named: a number alone would be taken for the first of them.
struct ByName {
  explicit ByName() = default;
};
}  // namespace detail

/// How often a task that has failed is run again, by what it failed of; 0: not at all. Before a
/// task is run again, what it did before may have taken effect.
struct Retries {
  [[no_unique_address]] detail::ByName by_name{};
  int exceptions = 0;     ///< it threw
  int crashes = 0;        ///< its worker ended
  int timeouts = 0;       ///< it took longer than CallOptions::timeout
  int out_of_memory = 0;  ///< a memory limit did not suffice

  /// Time between the first failure and the second attempt; doubled before each further one, up to
  /// a minute.
  std::chrono::nanoseconds pause{0};
};

/// A text, or none. Copies share it.
///
/// No std::string, as that may point into itself: g++ 12 moves temporary options in a co_await
/// expression by their bytes.
class Label {
 public:
  Label() = default;
  template <std::convertible_to<std::string> Text>
  Label(Text&& text)  // NOLINT(google-explicit-constructor)
      : text_(std::make_shared<const std::string>(std::forward<Text>(text))) {
    if (text_->empty()) text_ = nullptr;
  }
  /// Null: none.
  [[nodiscard]] const std::shared_ptr<const std::string>& text() const { return text_; }

 private:
  std::shared_ptr<const std::string> text_;
};

/// Options of one call.
struct CallOptions {
  /// Called in the calling thread, at most every 100 ms and once at the end. If it throws, the call
  /// is given up and throws the same.
  std::function<void(const Progress&)> progress = nullptr;

  /// Longest time that a task may run, counted from the moment at which its worker begins it. A
  /// task that takes longer fails as timed_out and its worker is replaced: with all processes that
  /// the task has started, it gets a SIGTERM and, a second later, a SIGKILL. Default: no limit.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;

  /// Tasks of calls with a higher priority are given out before those of lower ones, which get what
  /// is left: nothing, as long as the others have enough for all workers. What waits at a worker is
  /// overtaken, too; what runs is not interrupted. Calls of equal priority take turns. Calls
  /// without options, as by submit(), have 0. Any number.
  int priority = 0;

  /// What this_task::seed() is derived from.
  std::uint64_t seed = 0;

  /// Once a stop is requested, the tasks of the call that have not ended are cancelled; those that
  /// run are ended as on a timeout. Results that are there already are kept: try_map() returns
  /// them, map() throws the cancellation.
  std::stop_token stop = {};

  /// Of imap and the like: elements that may be drawn whose results have not been read, 1 or more.
  /// Default: 16384. No more are drawn than the workers can be given, either. 1: nothing is drawn
  /// before the result of the last element has been read.
  std::optional<std::size_t> buffersize = std::nullopt;

  /// Further attempts at tasks that fail. A task that fails for good has the failures of its
  /// earlier attempts with it: Failure::earlier().
  Retries retries = {};

  /// What the call is called in Pool::stats() and in traces. Default: by its number.
  Label label = {};
};

}  // namespace bulkhead
