// SPDX-License-Identifier: MIT
//
// What a task can ask about itself:
//
//   double anneal(Problem problem) {
//     while (!bulkhead::this_task::stop_requested()) problem.improve();
//     return problem.cost();          // too late for this call, but in time to tidy up
//   }
//
// Outside of tasks there is no deadline, and nobody requests a stop. Any thread; of a task that is
// run inline (Options::inline_execution), only the one that runs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace bulkhead::this_task {

/// When the task is out of time (CallOptions::timeout); nothing if it may take as long as it likes.
[[nodiscard]] std::optional<std::chrono::steady_clock::time_point> deadline();

/// The index of the task's element in its call, from 0. 0 in a call made by apply() and the like,
/// and outside of tasks.
[[nodiscard]] std::uint64_t index();

/// A number for the task's random numbers, say std::mt19937_64(seed()): the same for the same
/// CallOptions::seed and index(), whatever worker runs the task and however often, and another for
/// others. All calls made by apply(), apply_async() and submit() have the same: give them one of
/// their own as an argument.
[[nodiscard]] std::uint64_t seed();

/// Which try at the task this is; the first is 1. Outside of tasks: 0.
[[nodiscard]] int attempt();

/// True once the task is to end: it is out of time, a stop of its call was requested, or the call
/// was abandoned. A task that has asked has a second from then on to leave its affairs in order;
/// one that has not is ended at once. What it returns after that is not used any more.
[[nodiscard]] bool stop_requested();

}  // namespace bulkhead::this_task
