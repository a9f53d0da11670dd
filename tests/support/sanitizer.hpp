// SPDX-License-Identifier: MIT
//
// Which sanitizer this program is built with: for the few tests that ask for what one of them
// cannot do (little address space, say), and for bounds in time.
#pragma once

#include "worker/sanitizers.hpp"

#include <dlfcn.h>

namespace bulkhead::test {

using detail::kAddressSanitizer;
using detail::kThreadSanitizer;
inline constexpr bool kSanitized = kAddressSanitizer || kThreadSanitizer;

/// True if casts of objects are checked (-fsanitize=vptr, a part of undefined). The check asks the
/// kernel about addresses by way of a pipe, and reports an error where none can be made.
inline bool vptr_sanitizer() {
  return ::dlsym(RTLD_DEFAULT, "__ubsan_handle_dynamic_type_cache_miss") != nullptr;
}

}  // namespace bulkhead::test
