// SPDX-License-Identifier: MIT
//
// The last words of a worker: handlers for fatal signals and std::terminate which write what
// happened into a page of shared memory, and the coordinator's reading of that page.
// The worker's start-up installs the handlers, in the worker only: the process that embeds the
// library never gets one. A process forked by a task inherits them but leaves the page alone.
// The reader believes nothing: a dying worker may have scribbled over the page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// Bytes which the handlers may write and the reader reads, at an address aligned to 8.
inline constexpr std::size_t kCrashPageBytes = 8192;

/// One stack frame, the innermost first. All of it is the claim of a process that died.
struct CrashFrame {
  std::uint64_t address = 0;      // of the faulting instruction as it is; a return address minus 1
  std::uint64_t module_base = 0;  // load base of the module that holds it; 0 if none is known
  std::string module;             // path of that module; empty if none is known
  std::uint64_t build_id = 0;     // Module::build_id of it; 0 if it has none
};

/// What a worker left when it died of a signal, or exited for a reason. Texts are printable UTF-8
/// without line breaks.
struct CrashReport {
  int signal = 0;                   // the fatal signal, SIGABRT after std::terminate; 0: it exited
  int code = 0;                     // si_code, see sigaction(2)
  std::uint64_t fault_address = 0;  // si_addr
  bool has_fault_address = false;   // false where si_addr tells nothing, e.g. after kill(2)
  std::string message;              // exception that reached std::terminate, or the C library's
                                    // own words (failed assert, corrupted heap); else empty
  std::vector<CrashFrame> frames;   // at most 64; fewer, or none, if the stack is damaged
};

/// Worker side: makes fatal signals and std::terminate leave a report in `page`, then end the
/// process by the very same signal. Call once per worker, while it has one thread; the calling
/// thread gets an alternate stack, so that its stack overflows are reported too (those of other
/// threads are not). `page` must stay writable until the process ends.
/// Throws std::system_error if the kernel refuses the memory or a handler.
void install_crash_handlers(std::byte* page);

/// Worker side: `text` is why the process, which no signal ends, is about to exit.
void leave_last_words(std::string_view text) noexcept;

/// Coordinator side: the report in `page`; nullopt if the worker left none, or nonsense.
/// Any bytes are safe, even while they change. Call it once the worker is dead.
std::optional<CrashReport> read_crash_report(const std::byte* page);

}  // namespace bulkhead::detail
