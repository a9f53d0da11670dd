// SPDX-License-Identifier: MIT
//
// What a descriptor is to a person.
#pragma once

#include <cstddef>

namespace bulkhead::detail {

[[nodiscard]] bool is_terminal(int fd);
/// Of a terminal; 80 where it does not tell.
[[nodiscard]] std::size_t columns(int fd);

}  // namespace bulkhead::detail
