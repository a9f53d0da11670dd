// SPDX-License-Identifier: MIT
//
// Completions: which of some results become ready, in that order, and the wait for it: what wait()
// and as_completed() are made of. One thread waits; results are settled by any.
#pragma once

#include <bulkhead/detail/job.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace bulkhead::detail {

class AsyncStateBase;

class Completions final : public Awaited {
 public:
  using Results = std::vector<std::shared_ptr<AsyncStateBase>>;

  /// What is there more than once counts once.
  explicit Completions(Results results);
  ~Completions() override;

  [[nodiscard]] const Results& results() const { return results_; }
  /// Until so many have become ready, or until then. How many have, up to `count`.
  std::size_t wait(std::size_t count, std::optional<RunningCall::Time> until);
  /// The one that has become ready after `before` others.
  [[nodiscard]] std::size_t operator[](std::size_t before) const;

  /// As many as are waited for.
  [[nodiscard]] bool ready() const override { return noted_.load() >= wanted_.load(); }
  /// This one has. By any thread, under any engine's lock.
  void note(std::size_t index);

 private:
  [[nodiscard]] std::vector<RunningCall*> one_of_each_engine();

  const Results results_;
  const bool is_of_one_engine_;  ///< those that were not ready at first
  std::size_t first_open_ = 0;   ///< all before are ready
  mutable std::mutex mutex_;
  std::vector<std::size_t> order_;
  std::atomic<std::size_t> noted_ = 0;
  std::atomic<std::size_t> wanted_ = 0;
};

}  // namespace bulkhead::detail
