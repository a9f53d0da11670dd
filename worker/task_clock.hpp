// SPDX-License-Identifier: MIT
//
// What a worker knows of itself and of its present task's time, attempt, number and stop, for
// bulkhead::this_task. One per process; a copy of the worker that a task has forked has none.
#pragma once

#include "worker/memory.hpp"
#include "worker/task_terms.hpp"

#include <cstdint>

namespace bulkhead::detail {

/// From now on this process is a worker that counts its tasks in `words`, and is told there which
/// is to end early.
void begin_task_clock(OutboxWords& words, const Position& end_early);
/// It has this place in its pool.
void set_worker_number(std::uint32_t number);
/// There will be no more tasks.
void end_task_clock();
/// They hold for the tasks that begin from now on.
void set_task_terms(const TaskTerms& terms);
/// There the number is of the task that runs, in its call.
void set_task_index(const std::uint64_t& index);
/// The tasks that begin from now on have an element each, unless they say otherwise (ElementMark).
void forget_element_mark();
/// The index in its call of the element that the running task is at.
[[nodiscard]] std::uint64_t present_element();
/// From now on `begin(element, first)` is called before each element of tasks of several
/// (ElementMark); `first`: it is the first of its task.
void watch_elements(void (*begin)(std::uint64_t, bool));
/// The time of a task that has a limit begins now: it is about to be claimed, or has waited for a
/// piece of its argument.
void restart_task_time();
/// The tasks that begin from now on are run for that many times, this one included.
void set_task_attempt(int attempt);
/// The number of the task that runs, or ran last, from 1; 0: none has, or this is a copy of the
/// worker.
[[nodiscard]] std::uint64_t running_task() noexcept;
/// SIGTERM has come. True if the present task has asked for stops, and will be told; else it is to
/// die of the signal. Async-signal-safe.
[[nodiscard]] bool tell_of_stop() noexcept;

/// From now on `see_to` is called before each task is answered, with its number, from 1; and with 0
/// when the initializer has run.
void attend_always(void (*see_to)(std::uint64_t));
/// The same for `look`, before that; null: not any more.
void attend_each_task(void (*look)(std::uint64_t));
/// Zero if there is something to see to before the present task is answered.
[[nodiscard]] const volatile std::uint32_t& calm();
/// Sees to it. Ends the process if it is a copy of the worker, as both would answer; and if the
/// task was told to stop, as its answer comes too late.
void attend();
inline void attend_unless_calm() {
  if (calm() == 0) [[unlikely]]
    attend();
}

}  // namespace bulkhead::detail
