// SPDX-License-Identifier: MIT
//
// Which sanitizer this program is built with: for the few tests that ask for what one of them
// cannot do (little address space, say), and for bounds in time.
#pragma once

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

}  // namespace bulkhead::test

#undef BULKHEAD_TEST_HAS_FEATURE
