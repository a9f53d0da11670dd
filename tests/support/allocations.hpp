// SPDX-License-Identifier: MIT
//
// Counts what a test program allocates, by operator new.
#pragma once

#include <cstdint>

namespace bulkhead::test {

/// Allocations of this process, and of its ancestors before they forked.
[[nodiscard]] std::uint64_t allocations();

}  // namespace bulkhead::test
