// SPDX-License-Identifier: MIT
//
// How the runs of a keyed job are compressed on disks. bulkhead/lz4.hpp and bulkhead/zstd.hpp have
// a function for it each, `lz4` and `zstd`.
#pragma once

#include <cstddef>
#include <span>

namespace bulkhead {

/// Any thread of any worker may call these, and more than one at a time.
struct Compression {
  /// How many bytes `to` has been given; 0: there was no room.
  std::size_t (*compress)(std::span<const std::byte> from, std::span<std::byte> to);
  /// Fills all of `to`. False: `from` makes no sense.
  bool (*decompress)(std::span<const std::byte> from, std::span<std::byte> to);
};
/// Workers have it, too: it is in a module that was loaded before they were forked.
using CompressionMethod = const Compression& (*)();

}  // namespace bulkhead
