// SPDX-License-Identifier: MIT
//
// Puts Limits into force.
#pragma once

#include <bulkhead/limits.hpp>

namespace bulkhead::detail {

/// For this process and those that it makes, for good. False if the system refuses one of them.
[[nodiscard]] bool confine(const Limits& limits);

}  // namespace bulkhead::detail
