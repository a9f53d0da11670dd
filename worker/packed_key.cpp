// SPDX-License-Identifier: MIT
#include <bulkhead/detail/packed_key.hpp>

namespace bulkhead::detail {

std::uint64_t hash_of_long(std::string_view key) {
  std::uint64_t hash = key.size() * kSpread;
  std::size_t left = key.size();
  const char* at = key.data();
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  for (; left > 16; left -= 16, at += 16) {
    std::memcpy(&low, at, 8);
    std::memcpy(&high, at + 8, 8);
    hash = mix(low ^ kSeedLow ^ hash, high ^ kSeedHigh);
  }
  // The last 16 bytes, some of them for the second time.
  at -= 16 - left;
  std::memcpy(&low, at, 8);
  std::memcpy(&high, at + 8, 8);
  return mix(low ^ kSeedLow ^ hash, high ^ kSeedHigh) * kSpread;
}

}  // namespace bulkhead::detail
