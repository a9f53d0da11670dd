// SPDX-License-Identifier: MIT
//
// Names of types and functions as people write them.
#pragma once

#include <string>

namespace bulkhead::detail {

/// The C++ name of a mangled symbol or type, without the arguments that std::string and containers
/// have by default. A name that is not mangled comes back as it is.
[[nodiscard]] std::string demangled(const char* symbol);

}  // namespace bulkhead::detail
