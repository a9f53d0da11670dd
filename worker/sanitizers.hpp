// SPDX-License-Identifier: MIT
//
// Which sanitizers this code is built with; and what they say. A sanitizer's runtime ends the
// process by an exit, after a report on standard error: what it found becomes the reason of the
// crash.
#pragma once

#if defined(__has_feature)
#define BULKHEAD_HAS_FEATURE(feature) __has_feature(feature)
#else
#define BULKHEAD_HAS_FEATURE(feature) 0
#endif

namespace bulkhead::detail {

#if defined(__SANITIZE_ADDRESS__) || BULKHEAD_HAS_FEATURE(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || BULKHEAD_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

/// For this process, after install_crash_handlers().
void listen_to_sanitizers();

}  // namespace bulkhead::detail

#undef BULKHEAD_HAS_FEATURE
