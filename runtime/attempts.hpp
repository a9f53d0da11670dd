// SPDX-License-Identifier: MIT
//
// Attempts: the tasks of one job that have failed and are to be run again: how often that has
// happened, and when they may. Plain state, time is given; one thread at a time.
#pragma once

#include <bulkhead/detail/job.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/options.hpp>

#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace bulkhead::detail {

class Attempts {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Attempts(const Retries& retries) : retries_(retries) {}

  /// `task` has failed: writes down in `details` which attempt that was. True if there is to be
  /// another (never unless `wanted`), not before due(); else `details` get the history.
  bool note_failure(std::uint64_t task, FailureDetails& details, Time now, bool wanted);

  /// These have ended, and are not run again: what is known of them is forgotten.
  void forget(TaskRange tasks);
  /// Hands to `taken(task, failures)` those that have failed and have not been forgotten.
  template <class Taken>
  void take_failed(Taken taken) {
    waiting_.clear();
    for (auto& [task, failures] : std::exchange(failures_, {})) taken(task, std::move(failures));
  }

  /// Of a task's next run; the first is 1.
  [[nodiscard]] std::uint16_t next(std::uint64_t task) const;
  /// The first task from `from` on that has failed before; nothing if there is none.
  [[nodiscard]] std::optional<std::uint64_t> failed_from(std::uint64_t from) const;

  /// When the first of those that wait may be run; nothing if none waits.
  [[nodiscard]] std::optional<Time> due() const;
  /// Removes, and hands to `taken(task)`, those that may be run now.
  template <class Taken>
  void take_due(Time now, Taken taken) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      taken(waiting_.extract(waiting_.begin()).mapped());
    }
  }
  /// The same for those of which `chosen(task)` is true, however long they have still to wait.
  template <class Chosen, class Taken>
  void take_if(Chosen chosen, Taken taken) {
    for (auto entry = waiting_.begin(); entry != waiting_.end();) {
      const auto next = std::next(entry);
      if (chosen(entry->second)) taken(waiting_.extract(entry).mapped());
      entry = next;
    }
  }
  /// The task is not run again, whatever it fails of. True if it waited: it may be run now.
  bool end(std::uint64_t task);

 private:
  [[nodiscard]] int budget(FailureKind kind) const;

  const Retries& retries_;
  std::map<std::uint64_t, std::vector<Failure>> failures_;  ///< by task
  std::multimap<Time, std::uint64_t> waiting_;
  std::set<std::uint64_t> last_;  ///< those that are not run again: see end()
};

}  // namespace bulkhead::detail
