// SPDX-License-Identifier: MIT
//
// Tasks that run in the process that wants their results, for debugging: the worker's end without a
// worker.
#pragma once

#include "worker/module.hpp"
#include "worker/rebuilt.hpp"
#include <bulkhead/detail/key_mark.hpp>
#include <bulkhead/failure.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

namespace bulkhead::detail {

/// What bulkhead::this_task tells a task, and whether it has told it to end. One thread.
struct LocalTask {
  using Time = std::chrono::steady_clock::time_point;
  enum class Told : std::uint8_t { nothing, late, cancelled };

  std::atomic<std::uint64_t> index{0};  ///< of the element it is at, in its call
  std::uint64_t seed = 0;               ///< of its call
  int attempt = 1;
  std::optional<std::chrono::nanoseconds> limit{};  ///< from the begin of each element
  std::optional<Time> deadline{};
  std::stop_token stop;      ///< of its call
  std::stop_token pool_end;  ///< of the pool
  Told told = Told::nothing;
  std::uint64_t told_at = 0;  ///< which element asked

  /// An element begins.
  void restart_time();
  /// True if the task is to end.
  bool ask();
};

/// The task that runs in this thread; null if there is none.
[[nodiscard]] LocalTask* present_local_task();

/// While it lasts, this thread runs what a worker would run otherwise: a task, or (null) something
/// before or after one. They nest: a task may have a pool of its own.
class LocalScope {
 public:
  explicit LocalScope(LocalTask* task);
  LocalScope(const LocalScope&) = delete;
  LocalScope& operator=(const LocalScope&) = delete;
  ~LocalScope();

  /// How many of them this thread is in.
  [[nodiscard]] static int depth();

 private:
  LocalTask* before_;
  KeyMark key_before_;
};

/// A callable that was sent to its own process. One thread.
class LocalCallable {
 public:
  /// `definition` must outlive it.
  explicit LocalCallable(std::span<const std::byte> definition) : definition_(definition) {}
  LocalCallable(const LocalCallable&) = delete;
  LocalCallable& operator=(const LocalCallable&) = delete;
  ~LocalCallable() { rebuilt_.drop(); }

  using Result = std::vector<std::byte>;
  /// Runs task `number` of its call. The callable is rebuilt before the first one. What is thrown
  /// comes out as it is.
  Result run(const ModuleMap& modules, std::uint64_t number, std::span<const std::byte> argument,
             LocalTask& task);
  /// The same; what is thrown becomes a failure, as in a worker.
  [[nodiscard]] std::variant<Result, FailureDetails> try_run(const ModuleMap& modules,
                                                             std::uint64_t number,
                                                             std::span<const std::byte> argument,
                                                             LocalTask& task);

 private:
  Result call(std::uint64_t number, std::span<const std::byte> argument, TaskPhase& phase);
  void rebuild_from(const ModuleMap& modules);
  void require_rebuilt(const ModuleMap& modules);

  std::span<const std::byte> definition_;
  Rebuilt rebuilt_;
  std::string error_;  ///< why there is no callable
};

}  // namespace bulkhead::detail
