// SPDX-License-Identifier: MIT
//
// What is wrong with Options, said before anything is forked.
#pragma once

#include <bulkhead/options.hpp>

#include <string>

namespace bulkhead::detail {

inline constexpr int kMaxWorkers = 1024;
inline constexpr int kMaxRetries = 1000;
inline constexpr int kMostPoolsDeep = 8;
inline constexpr std::uint64_t kMinMemory = 1 << 20;
inline constexpr std::uint64_t kMinOpenFiles = 16;
inline constexpr int kMaxOomScore = 1000;
inline constexpr std::size_t kMinRingBytes = 4096;
inline constexpr std::size_t kMaxRingBytes = std::size_t{1} << 30;

/// The number of workers that `options` ask for. Throws InvalidArgument.
[[nodiscard]] int validated_workers(const Options& options, int usable_cpus);
/// Throws InvalidArgument unless a pool may have so many workers; `what` asks for them.
void require_workers(int workers, const std::string& what, const std::string& hint = "");
/// True if tasks are to run in this process: what the environment says (the value of
/// BULKHEAD_INLINE, or null), or else the option. Throws InvalidArgument.
[[nodiscard]] bool is_inline(const Options& options, const char* environment);
/// Throws InvalidArgument if a limit makes no sense.
void require_sensible(const Limits& limits);
/// Throws Error if this is a task in a pool in a task in a pool, and so on.
void require_shallow(int pools_deep);
/// Throws Error if there are other threads in the process that calls bulkhead::init().
void require_single_thread(int threads);
/// Throws Error if forking now would copy locks that other threads hold.
void require_forkable(const Options& options, int threads);
/// Throws InvalidArgument if an option of a call makes no sense.
void require_sensible(const CallOptions& options);
void require_sensible(const Retries& retries);

}  // namespace bulkhead::detail
