// SPDX-License-Identifier: MIT
//
// Counts what a test program allocates, by operator new.
#pragma once

#include "tests/support/sanitizer.hpp"

#include <cstdint>

namespace bulkhead::test {

/// False where operator new is the sanitizer's, which cannot be replaced.
inline constexpr bool kCountsAllocations = !kThreadSanitizer;

/// Allocations of this process, and of its ancestors before they forked; 0 if they
/// are not counted.
[[nodiscard]] std::uint64_t allocations();

}  // namespace bulkhead::test
