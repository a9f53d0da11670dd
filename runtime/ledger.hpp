// SPDX-License-Identifier: MIT
//
// Ledger: the books of one job. Which tasks exist, which are out with a worker, which are settled,
// and where the job stops after a failure. Plain state, no process, no clock; one thread at a time.
//
//   0 ... fresh_           have been given out at least once
//   fresh_ ... known_      exist, not given out yet
//   returned_              were given out and came back before they began
//   limit_                 tasks from here on are not given out any more
#pragma once

#include <bulkhead/detail/job.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>

namespace bulkhead::detail {

class Ledger {
 public:
  static constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

  /// Tasks below `known` exist; `complete` says that there will be no more.
  void extend(std::uint64_t known, bool complete);

  /// Gives out at most `most` tasks below `horizon`, the lowest first; an empty range if there is
  /// none.
  [[nodiscard]] TaskRange take(std::uint64_t most, std::uint64_t horizon = kAll);
  /// Takes back tasks that were given out and have not begun.
  void give_back(TaskRange range);
  /// Tasks that were given out have ended.
  void settle(const Settled& settled);
  /// Gives out nothing from task `limit` on. The limit never rises.
  void stop_at(std::uint64_t limit);

  /// True if nothing is out and nothing remains to be given out.
  [[nodiscard]] bool done() const;
  /// True if a task could be given out at once.
  [[nodiscard]] bool has_work() const;
  /// True if take() would want more tasks to exist.
  [[nodiscard]] bool wants_more() const { return !complete_ && known_ < limit_; }

  [[nodiscard]] std::uint64_t known() const { return known_; }
  [[nodiscard]] std::uint64_t settled() const { return settled_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] std::uint64_t limit() const { return limit_; }
  /// The number of tasks, once it is known.
  [[nodiscard]] std::optional<std::uint64_t> total() const;
  /// Tasks not given out yet, as far as it is known.
  [[nodiscard]] std::uint64_t unsent() const;

 private:
  std::uint64_t known_ = 0;
  std::uint64_t fresh_ = 0;
  std::uint64_t out_ = 0;
  std::uint64_t settled_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t returned_count_ = 0;
  std::uint64_t limit_ = kAll;
  bool complete_ = false;
  std::map<std::uint64_t, std::uint64_t> returned_;  ///< first task of a range to its length
};

}  // namespace bulkhead::detail
