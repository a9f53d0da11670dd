// SPDX-License-Identifier: MIT
//
// What can be seen of a pool from outside: Pool::stats() returns a Stats, plain figures of one
// moment.
//
//   std::cerr << pool.stats();       // ten lines or less
//
// Exact are the counts of tasks, attempts, workers and bytes. Times are by the workers' own clocks:
// exact for each task where those of a function take 10 us or more, so that a look at the clock for
// each costs next to nothing; shorter ones are timed together, 40 us of them or until the worker
// has to wait long, and count as equally long (one that takes long after all, as long as the few
// with which it came). How much of short tasks is serialising is known of one in some thousands.
// Times may lack what workers have done in the last moment. A worker that a task has damaged may
// say anything of its times, though no more than it has lived.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead {

namespace detail {
class Engine;
}

struct Stats {
  using Seconds = std::chrono::duration<double>;

  /// Tasks that have ended, by outcome. Not among them: those that map() has not run as one before
  /// them failed, and elements that were never drawn from their range.
  struct Outcomes {
    std::uint64_t value = 0;
    std::uint64_t exception = 0;
    std::uint64_t crashed = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t not_run = 0;

    [[nodiscard]] std::uint64_t failed() const {
      return exception + crashed + timed_out + out_of_memory + cancelled + not_run;
    }
    [[nodiscard]] std::uint64_t all() const { return value + failed(); }
  };

  /// Workers that have ended, by cause.
  struct Ends {
    std::uint64_t crashed = 0;        ///< by itself, or killed by somebody else
    std::uint64_t timed_out = 0;      ///< its task ran for longer than it may
    std::uint64_t out_of_memory = 0;  ///< killed by the kernel at the limit of its cgroup
    std::uint64_t cancelled = 0;      ///< the call of its task was given up, or stopped
    std::uint64_t misconduct = 0;     ///< killed as what it sent made no sense
    std::uint64_t failed_start = 0;   ///< before it was ready, or it took too long to be
    std::uint64_t recycled = 0;       ///< it had done its share: see max_tasks_per_worker
    std::uint64_t idle = 0;           ///< it had nothing to do: see idle_timeout
    std::uint64_t resized = 0;        ///< its place was gone: see Pool::resize
    std::uint64_t pool_ended = 0;

    /// Those in whose place another was to come.
    [[nodiscard]] std::uint64_t replaced() const {
      return crashed + timed_out + out_of_memory + cancelled + misconduct + failed_start + recycled;
    }
  };

  /// What workers have spent their lives with.
  struct Times {
    Seconds start{};        ///< from the fork to the end of the initializer
    Seconds working{};      ///< in the user's functions
    Seconds serialising{};  ///< decoding arguments, encoding results and passing them on; not of
                            ///< small plain values, which are part of `working`
    Seconds waiting{};      ///< the rest: for tasks

    [[nodiscard]] Seconds all() const { return start + working + serialising + waiting; }
    /// A part as a share of all, 0 to 1.
    [[nodiscard]] double share_of(Seconds part) const {
      return all().count() > 0 ? part / all() : 0.0;
    }
  };

  enum class WorkerState : std::uint8_t {
    missing,   ///< there is none at this place now
    starting,  ///< being forked, or in the initializer
    idle,      ///< has nothing to do
    busy,
    ending,  ///< told to leave, or being killed
  };

  struct RunningTask {
    std::uint64_t call = 0;  ///< as in SlowTask
    std::uint64_t index = 0;
    Seconds since{};  ///< has been running for so long
  };

  /// One place of the pool, and the worker that has it now.
  struct Worker {
    int number = 0;  ///< as this_worker::number()
    int pid = 0;     ///< 0: there is no process (yet)
    WorkerState state = WorkerState::missing;
    Seconds age{};
    std::uint64_t tasks_done = 0;  ///< by this worker, however they ended
    std::uint64_t tasks_held = 0;  ///< that are with it, the running one included
    std::optional<RunningTask> running;
    std::uint64_t resident_bytes = 0;  ///< as the kernel says now; 0: it does not
    Times times;                       ///< of this worker
  };

  /// Times of the attempts that workers have ended, failed ones included.
  struct Histogram {
    /// Upper bounds of the buckets, in seconds, inclusive; a last bucket has none.
    static constexpr std::array<double, 27> kBounds = {
        1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
        5e-2, 1e-1, 2e-1, 5e-1, 1,    2,    5,    1e1,  2e1,  5e1,  1e2,  2e2,  5e2};

    std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< of each bucket alone
    Seconds sum{};

    [[nodiscard]] std::uint64_t count() const {
      std::uint64_t all = 0;
      for (const std::uint64_t each : counts) all += each;
      return all;
    }
    /// Tasks that took kBounds[bucket] or less.
    [[nodiscard]] std::uint64_t cumulative(std::size_t bucket) const {
      std::uint64_t all = 0;
      for (std::size_t i = 0; i <= bucket && i < counts.size(); ++i) all += counts[i];
      return all;
    }
    [[nodiscard]] Seconds mean() const {
      const std::uint64_t all = count();
      return all == 0 ? Seconds{} : sum / static_cast<double>(all);
    }
    /// The upper bound of the bucket in which that quantile is, 0.5 being the median; infinity: the
    /// last one; 0 of none.
    [[nodiscard]] Seconds quantile(double q) const;
  };

  /// One of the slowest attempts.
  struct SlowTask {
    std::uint64_t call = 0;  ///< calls are counted from 1; those that were made by apply_async or
                             ///< submit of one function while there are any are one
    std::string label;       ///< CallOptions::label of that call
    std::uint64_t index = 0;
    Seconds time{};
    int worker = 0;  ///< its number
  };

  Outcomes tasks;
  std::uint64_t retried = 0;  ///< attempts that failed and were followed by another, or will be

  std::uint64_t queued = 0;   ///< tasks not given out yet, of ranges as far as they are known
  std::uint64_t waiting = 0;  ///< tasks that wait at a worker
  std::uint64_t running = 0;

  std::uint64_t calls = 0;          ///< begun, ended or not
  std::uint64_t worker_starts = 0;  ///< processes that got a place in the pool
  Ends worker_ends;
  std::uint64_t refused_forks = 0;

  std::uint64_t bytes_sent = 0;      ///< to workers, as encoded
  std::uint64_t bytes_received = 0;  ///< from them

  Times times;  ///< of all workers, those that have ended included
  Histogram task_times;
  std::vector<SlowTask> slowest;  ///< at most five, the slowest first

  std::vector<Worker> workers;  ///< by number; none when the pool has ended
};

[[nodiscard]] const char* to_string(Stats::WorkerState state) noexcept;
/// What an operator wants to know, in ten lines or less.
[[nodiscard]] std::string to_string(const Stats& stats);
std::ostream& operator<<(std::ostream& out, const Stats& stats);

/// Reads a pool's figures, also when the pool has ended: the last ones then. Copyable; any thread.
/// See Pool::stats_reader().
class StatsReader {
 public:
  /// As Pool::stats().
  [[nodiscard]] Stats operator()() const;

 private:
  friend class Pool;
  struct Final;  // what the pool leaves behind
  StatsReader(std::weak_ptr<detail::Engine> engine, std::shared_ptr<Final> last)
      : engine_(std::move(engine)), final_(std::move(last)) {}

  std::weak_ptr<detail::Engine> engine_;
  std::shared_ptr<Final> final_;
};

}  // namespace bulkhead
