// SPDX-License-Identifier: MIT
//
// The worker's side of bulkhead/testing.hpp.
#pragma once

#include <bulkhead/testing.hpp>

#include <cstdint>
#include <vector>

namespace bulkhead::detail {

/// Has happen what is to happen at `point`. At the end of a task that is the one begun last.
void meet_faults(const std::vector<fault::Fault>& faults, fault::Point point,
                 std::uint64_t task = fault::kAnyTask);

}  // namespace bulkhead::detail
