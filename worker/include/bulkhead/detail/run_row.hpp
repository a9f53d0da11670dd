// SPDX-License-Identifier: MIT
//
// Rows: a short key with a small plain value, as runs have them.
//
//   bytes of the key (4 bits) | bytes of the value (4 bits) | key | value
//
// Of an integer there are as many bytes as it needs; of another value all, and the 4 bits are zero.
#pragma once

#include <bulkhead/detail/packed_key.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace bulkhead::detail {

/// A value as a slot of a table holds it: itself if it is small and plain, else by a pointer.
template <class V>
inline constexpr bool kInSlot = std::is_trivially_copyable_v<V> && sizeof(V) <= 48;

template <class V>
struct RowCodec {
  /// Bytes that a row may take, and that are looked at, or written over, for any.
  static constexpr std::size_t kMost = 1 + 16 + std::max<std::size_t>(sizeof(V), 8);

  /// Where the row ends that begins `at`.
  static std::byte* put(PackedKey key, const V& value, std::byte* at) {
    const std::size_t key_bytes = key.size();
    std::memcpy(at + 1, &key.low, 8);
    std::memcpy(at + 9, &key.high, 8);
    std::byte* const behind = at + 1 + key_bytes;
    std::size_t value_bytes = 0;
    if constexpr (kShortens) {
      const auto bits = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<V>>(value));
      std::memcpy(behind, &bits, 8);
      value_bytes = static_cast<std::size_t>(std::bit_width(bits) + 7) / 8;
      *at = static_cast<std::byte>(key_bytes | value_bytes << 4);
    } else {
      std::memcpy(behind, &value, sizeof value);
      value_bytes = sizeof value;
      *at = static_cast<std::byte>(key_bytes);
    }
    return behind + value_bytes;
  }
  /// The same. Whatever the bytes are, it is no more than kMost behind.
  static const std::byte* get(const std::byte* at, PackedKey& key, V& value) {
    const auto head = static_cast<std::size_t>(*at);
    const std::size_t key_bytes = head & 15;
    key = first_bytes(reinterpret_cast<const char*>(at + 1), key_bytes);
    key.high |= static_cast<std::uint64_t>(key_bytes + 1) << 56;
    const std::byte* const behind = at + 1 + key_bytes;
    if constexpr (kShortens) {
      const std::size_t value_bytes = std::min<std::size_t>(head >> 4, 8);
      std::uint64_t bits = 0;
      std::memcpy(&bits, behind, 8);
      value = static_cast<V>(bits & kMasks[value_bytes]);
      return behind + value_bytes;
    } else {
      std::memcpy(&value, behind, sizeof value);
      return behind + sizeof value;
    }
  }

 private:
  static constexpr bool kShortens =
      std::is_integral_v<V> && sizeof(V) <= 8 && !std::is_same_v<V, bool>;
  static constexpr std::array<std::uint64_t, 9> kMasks{0,
                                                       0xFF,
                                                       0xFFFF,
                                                       0xFF'FFFF,
                                                       0xFFFF'FFFF,
                                                       0xFF'FFFF'FFFF,
                                                       0xFFFF'FFFF'FFFF,
                                                       0xFF'FFFF'FFFF'FFFF,
                                                       ~std::uint64_t{0}};
};

}  // namespace bulkhead::detail
