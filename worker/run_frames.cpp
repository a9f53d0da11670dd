// SPDX-License-Identifier: MIT
#include <bulkhead/detail/run_frames.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstring>

namespace bulkhead::detail {
namespace {

[[noreturn]] void refuse() {
  throw Error("bulkhead: a run of a keyed job is damaged");
}

}  // namespace

void put_frames(const Compression& compression, std::span<const std::byte> bytes,
                std::vector<std::byte>& out) {
  while (!bytes.empty()) {
    const std::span<const std::byte> part = bytes.first(std::min(bytes.size(), kFrameBytes));
    bytes = bytes.subspan(part.size());
    const std::size_t begin = out.size();
    out.resize(begin + sizeof(FrameSizes) + part.size());
    const std::span<std::byte> room = std::span(out).subspan(begin + sizeof(FrameSizes));
    std::size_t stored = compression.compress(part, room.first(part.size() - 1));
    if (stored == 0 || stored >= part.size()) {
      std::memcpy(room.data(), part.data(), part.size());
      stored = part.size();
    }
    const FrameSizes sizes{static_cast<std::uint32_t>(part.size()),
                           static_cast<std::uint32_t>(stored)};
    std::memcpy(out.data() + begin, &sizes, sizeof sizes);
    out.resize(begin + sizeof sizes + stored);
  }
}

void check(const FrameSizes& sizes) {
  if (sizes.bytes == 0 || sizes.bytes > kFrameBytes || sizes.stored > sizes.bytes) refuse();
}

void get_frame(const Compression& compression, std::span<const std::byte> stored,
               std::span<std::byte> bytes) {
  if (stored.size() == bytes.size()) {
    std::memcpy(bytes.data(), stored.data(), bytes.size());
  } else if (!compression.decompress(stored, bytes)) {
    refuse();
  }
}

}  // namespace bulkhead::detail
