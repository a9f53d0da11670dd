// SPDX-License-Identifier: MIT
//
// Frames: what files on disks have instead of the bytes themselves, if a job compresses.
//
//   bytes (u32) | bytes in the file (u32) | those
//
// If there are as many in the file, they are not compressed.
#pragma once

#include <bulkhead/compression.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bulkhead::detail {

struct FrameSizes {
  std::uint32_t bytes = 0;
  std::uint32_t stored = 0;
};
/// A frame has no more: whoever reads many files at a time has one of each in memory.
inline constexpr std::size_t kFrameBytes = std::size_t{32} << 10;

/// Appends the bytes, as frames.
void put_frames(const Compression& compression, std::span<const std::byte> bytes,
                std::vector<std::byte>& out);
/// Throws Error if there is no such frame.
void check(const FrameSizes& sizes);
/// Fills `bytes` by what the file has. Throws Error if that makes no sense.
void get_frame(const Compression& compression, std::span<const std::byte> stored,
               std::span<std::byte> bytes);

}  // namespace bulkhead::detail
