// SPDX-License-Identifier: MIT
//
// Checksum: tells bytes from others that chance has made of them; no proof against intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::detail {

/// A hash of bytes that come in pieces (FNV-1a, 64 bits). Allocates nothing.
class Checksum {
 public:
  constexpr void add(std::span<const std::byte> bytes) noexcept {
    for (const std::byte byte : bytes) {
      hash_ = (hash_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3U;
    }
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace bulkhead::detail
