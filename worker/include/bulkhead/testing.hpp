// SPDX-License-Identifier: MIT
//
// For tests of programs that use bulkhead: workers that are killed, stopped or delayed at a point
// of their lives that is known beforehand.
//
//   Pool pool(Options{.faults = {fault::kill(fault::Point::task_begins, 3)}});
//   pool.try_map(f, xs);                                        // element 3 has crashed
//   pool.map(f, xs, CallOptions{.retries = {.crashes = 1}});    // all have their values
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::fault {

/// Where in a worker's life something happens to it.
enum class Point : std::uint8_t {
  worker_starts,  ///< before the initializer; spares wait before this
  task_begins,    ///< the worker has begun the task, and not yet decoded its argument
  task_ends,      ///< the function has returned or thrown, and the worker has not answered yet
  worker_leaves,  ///< before the finalizer
};

enum class Action : std::uint8_t {
  kill,   ///< SIGKILL
  stop,   ///< SIGSTOP: it goes on only when somebody sends a SIGCONT
  delay,  ///< it sleeps
};

inline constexpr std::uint64_t kAnyTask = ~std::uint64_t{0};

/// What happens, where, to whom. In every worker of the pool that comes there; to nobody where
/// tasks run inline.
struct Fault {
  Point point = Point::task_begins;
  Action action = Action::kill;
  std::uint64_t task = kAnyTask;      ///< its index in its call, whichever call that is
  int attempt = 1;                    ///< at the task; 0: any
  std::chrono::nanoseconds delay{0};  ///< of Action::delay
};

[[nodiscard]] constexpr Fault kill(Point point, std::uint64_t task = kAnyTask) {
  return {.point = point, .action = Action::kill, .task = task};
}
[[nodiscard]] constexpr Fault stop(Point point, std::uint64_t task = kAnyTask) {
  return {.point = point, .action = Action::stop, .task = task};
}
[[nodiscard]] constexpr Fault delay(Point point, std::chrono::nanoseconds time,
                                    std::uint64_t task = kAnyTask) {
  return {.point = point, .action = Action::delay, .task = task, .delay = time};
}

}  // namespace bulkhead::fault
