// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

namespace bulkhead::detail {
namespace {

/// A worker's tables, of either phase, need some of it.
constexpr std::uint64_t kLeastMemory = std::uint64_t{1} << 20;

}  // namespace

KeyedOptions checked(KeyedOptions options) {
  if (options.memory && *options.memory < kLeastMemory) {
    throw InvalidArgument("bulkhead: KeyedOptions::memory is " + std::to_string(*options.memory) +
                          " bytes; it must be " + std::to_string(kLeastMemory) + " or more");
  }
  if (options.commit_interval == 0)
    throw InvalidArgument("bulkhead: KeyedOptions::commit_interval is 0; it must be 1 or more");
  std::error_code error;
  if (options.spill != KeyedOptions{}.spill && !std::filesystem::is_directory(options.spill, error))
    throw InvalidArgument("bulkhead: KeyedOptions::spill: there is no folder " + options.spill);
  if (!options.memory) options.memory = std::max(memory_left() / 4, kLeastMemory);
  return options;
}

CallOptions second_phase(CallOptions options) {
  options.timeout.reset();
  options.progress = nullptr;
  return options;
}

}  // namespace bulkhead::detail
