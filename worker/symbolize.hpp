// SPDX-License-Identifier: MIT
//
// Turns the addresses of a crash report into text that a reader of a log understands.
// Used by the coordinator, outside any hot path: the first call in a process reads the debug
// information of the program and its libraries, which takes from milliseconds to a second.
// Safe from any thread, but not in a child forked while another thread was inside. Keeps one
// process-wide cache, bounded and never destroyed; starts nothing.
#pragma once

#include "worker/crash.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// A place in the source. What is not known is empty or 0.
struct SymbolizedFrame {
  std::uint64_t address = 0;  // CrashFrame::address
  std::string function;       // demangled
  std::string file;           // as the compiler wrote it
  int line = 0;               // counts from 1
  std::string module;         // CrashFrame::module
  std::uint64_t offset = 0;   // of the address from the module's load base
};

/// Names `frames`, in order; calls that the compiler inlined follow each other, the innermost
/// first, with the same address. Names come from this process's own modules and only where it has
/// the very same one: same build-id or, for frames without one, same path at the same base.
/// Any other frame keeps module and offset alone. Any frames are safe. Never throws but bad_alloc.
std::vector<SymbolizedFrame> symbolize(const std::vector<CrashFrame>& frames);

/// "parse(Header&) at parse.cpp:31", "parse(Header&) (libfoo.so+0x1234)", "libfoo.so+0x1234" or
/// "0x7f0012345678", by what is known. Paths are cut to their last component.
std::string to_string(const SymbolizedFrame& frame);
/// The name of a function with what its templates were given left out: `f<...>(int)`.
std::string without_template_arguments(std::string_view function);

}  // namespace bulkhead::detail
