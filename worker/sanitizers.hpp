// SPDX-License-Identifier: MIT
//
// A sanitizer's runtime ends the process by an exit, after a report on standard error. Where one is
// part of this program, what it found becomes the reason of the crash.
#pragma once

namespace bulkhead::detail {

/// For this process, after install_crash_handlers().
void listen_to_sanitizers();

}  // namespace bulkhead::detail
