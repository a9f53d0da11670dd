// SPDX-License-Identifier: MIT
#include "worker/task_clock.hpp"
#include <bulkhead/this_task.hpp>

#include <atomic>
#include <cstdint>

namespace bulkhead {
namespace {

// Tasks are told apart by the worker's count of those begun; 0 is none.
struct TaskClock {
  std::atomic<const detail::OutboxWords*> words{nullptr};
  std::atomic<std::int64_t> limit{0};     ///< ns
  std::atomic<std::uint64_t> asks{0};     ///< the task that wants to be told of stops
  std::atomic<std::uint64_t> stopped{0};  ///< the task that was told
};
constinit TaskClock task_clock;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::uint64_t present_task() noexcept {
  const detail::OutboxWords* words = task_clock.words.load();
  return words == nullptr ? 0 : words->started.load(std::memory_order_relaxed);
}

}  // namespace

namespace detail {

void begin_task_clock(const OutboxWords& words) {
  task_clock.words = &words;
}

void set_task_limit(std::chrono::nanoseconds limit) {
  task_clock.limit.store(limit.count(), std::memory_order_relaxed);
}

bool tell_of_stop() noexcept {
  const std::uint64_t task = present_task();
  if (task == 0 || task_clock.asks.load() != task) return false;
  task_clock.stopped = task;
  return true;
}

}  // namespace detail

namespace this_task {

std::optional<std::chrono::steady_clock::time_point> deadline() {
  using Time = std::chrono::steady_clock::time_point;
  const std::chrono::nanoseconds limit(task_clock.limit.load(std::memory_order_relaxed));
  if (present_task() == 0 || limit.count() == 0) return std::nullopt;
  const Time begin(std::chrono::nanoseconds(task_clock.words.load()->began_at.load()));
  return limit > Time::max() - begin ? Time::max() : begin + limit;
}

bool stop_requested() {
  const std::uint64_t task = present_task();
  if (task == 0) return false;
  if (task_clock.asks.load(std::memory_order_relaxed) != task) task_clock.asks = task;
  return task_clock.stopped.load(std::memory_order_relaxed) == task;
}

}  // namespace this_task
}  // namespace bulkhead
