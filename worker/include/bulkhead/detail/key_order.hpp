// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace bulkhead::detail {

/// Smaller for smaller keys, by <; of equal ones nothing is known. Much faster to compare.
template <class K>
std::uint64_t order_of(const K& key) {
  if constexpr (std::is_same_v<K, std::string>) {
    std::uint64_t first = 0;
    std::memcpy(&first, key.data(), std::min(key.size(), sizeof first));
    if constexpr (std::endian::native == std::endian::little) first = __builtin_bswap64(first);
    return first;
  } else if constexpr (std::is_integral_v<K> && sizeof(K) <= sizeof(std::uint64_t)) {
    constexpr std::uint64_t kSign = std::is_signed_v<K> ? std::uint64_t{1} << 63 : 0;
    return static_cast<std::uint64_t>(key) ^ kSign;
  } else {
    return 0;
  }
}

}  // namespace bulkhead::detail
