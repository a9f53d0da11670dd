// SPDX-License-Identifier: MIT
//
// What code can ask about the worker that runs it, and what it can keep there:
//
//   Pool pool(Options{.initializer = [] { worker_local<Database>().open(this_worker::number());
//   }}); pool.map([](int key) { return worker_local<Database>().get(key); }, keys);
#pragma once

#include <utility>

namespace bulkhead {

namespace this_worker {

/// The place of this worker in its pool, from 0; its successor has the same. -1 if this is not a
/// worker. Any thread. Inline tasks (Options::inline_execution) are in worker 0.
[[nodiscard]] int number();

}  // namespace this_worker

namespace detail {
[[nodiscard]] int process_number();

template <class T>
struct WorkerLocal {
  static inline T* value = nullptr;
  static inline int process = 0;  ///< whose that is: one that was inherited is the parent's
};
}  // namespace detail

/// The T of this worker: each process has one of its own, which `make()` makes when it is first
/// asked for, and which lasts as long as the process. It is not destroyed, as workers leave by
/// _exit(): what must be done at the end is the finalizer's. To be used by one thread at a time, as
/// tasks do.
template <class T, class Make>
T& worker_local(Make make) {
  using Local = detail::WorkerLocal<T>;
  if (Local::process != detail::process_number()) {
    Local::value = new T(make());
    Local::process = detail::process_number();
  }
  return *Local::value;
}
template <class T>
T& worker_local() {
  return worker_local<T>([] { return T{}; });
}

}  // namespace bulkhead
