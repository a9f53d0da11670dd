// SPDX-License-Identifier: MIT
//
// Which sanitizer this program is built with: for the few tests that ask for what one of them
// cannot do (little address space, say), and for bounds in time.
#pragma once

#include <dlfcn.h>

#if defined(__has_feature)
#define BULKHEAD_TEST_HAS_FEATURE(feature) __has_feature(feature)
#else
#define BULKHEAD_TEST_HAS_FEATURE(feature) 0
#endif

namespace bulkhead::test {

#if defined(__SANITIZE_ADDRESS__) || BULKHEAD_TEST_HAS_FEATURE(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || BULKHEAD_TEST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

inline constexpr bool kSanitized = kAddressSanitizer || kThreadSanitizer;

/// True if casts of objects are checked (-fsanitize=vptr, a part of undefined). The check asks the
/// kernel about addresses by way of a pipe, and reports an error where none can be made.
inline bool vptr_sanitizer() {
  return ::dlsym(RTLD_DEFAULT, "__ubsan_handle_dynamic_type_cache_miss") != nullptr;
}

}  // namespace bulkhead::test

#undef BULKHEAD_TEST_HAS_FEATURE
