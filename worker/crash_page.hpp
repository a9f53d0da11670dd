// SPDX-License-Identifier: MIT
//
// The layout of the crash page: what the handlers of a dying worker (crash.cpp) write and the
// coordinator (crash_report.cpp) reads, without believing any of it.
#pragma once

#include "worker/crash.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <signal.h>

namespace bulkhead::detail {

inline constexpr std::array kFatalSignals{SIGSEGV, SIGBUS, SIGFPE,  SIGILL,  SIGABRT,
                                          SIGTERM, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
inline constexpr std::uint32_t kMagic = 0x42484331;  // "BHC1"
inline constexpr std::uint32_t kFacts = 1;     // CrashPage::state: all but the frames is written
inline constexpr std::uint32_t kComplete = 2;  // CrashPage::state: the frames too
inline constexpr std::uint32_t kNoModule = ~0U;
inline constexpr std::size_t kMaxFrames = 64;
inline constexpr std::size_t kMaxModules = 32;
inline constexpr std::size_t kMessageBytes = 1024;
inline constexpr std::size_t kPathBytes = 5120;

struct PageFrame {
  std::uint64_t address = 0;
  std::uint32_t module = kNoModule;  // index into CrashPage::modules
  std::uint32_t unused = 0;
};

struct PageModule {
  std::uint64_t base = 0;
  std::uint64_t build_id = 0;
  std::uint32_t path_begin = 0;  // [path_begin, path_begin + path_size) of CrashPage::paths
  std::uint32_t path_size = 0;
};

struct CrashPage {
  std::uint32_t state = 0;  // 0, kFacts, kComplete; first, and stored last with release
  std::uint32_t magic = kMagic;
  std::int32_t signal = 0;
  std::int32_t code = 0;
  std::uint64_t fault_address = 0;
  std::uint32_t has_fault_address = 0;
  std::uint32_t message_size = 0;
  std::uint32_t frame_count = 0;
  std::uint32_t module_count = 0;
  std::uint32_t path_bytes = 0;
  std::uint32_t unused = 0;
  std::array<PageFrame, kMaxFrames> frames{};
  std::array<PageModule, kMaxModules> modules{};
  std::array<char, kMessageBytes> message{};
  std::array<char, kPathBytes> paths{};
};
static_assert(sizeof(CrashPage) <= kCrashPageBytes);
static_assert(offsetof(CrashPage, state) == 0);

}  // namespace bulkhead::detail
