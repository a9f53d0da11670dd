// SPDX-License-Identifier: MIT
//
// Section 1 of the demo: the classic first program of a process pool. One CPU-bound function, eight
// items, first in a plain loop and then by pool.map.

#pragma once

#include <bulkhead/pool.hpp>

#include <cstdint>

namespace demo {

/// The last of `steps` steps of a chain in which each needs the one before: work for one CPU and
/// nothing else, and the result depends on every step.
std::uint64_t crunch(std::uint64_t steps);

/// Runs crunch over eight items of about `steps` steps both ways and prints the times.
/// Returns whether all results are equal.
bool run_cpu_loop(bulkhead::Pool& pool, std::uint64_t steps);

}  // namespace demo
