// SPDX-License-Identifier: MIT
//
// Keys as tables hold them: 16 bytes, in which short keys are whole. Longer ones lie in an arena
// beside the table.
//
//   bytes of the key   | low        | high
//   0 to 15            | bytes 0-7  | bytes 8-14, and in the top byte their number + 1
//   16 and more        | offset     | hash without its top byte, 0xFF
//
// A key whose bytes from the eighth on are zero, as those of most words and small numbers, has room
// in 8 bytes: the top byte of `high` is that of `low` then.
//
// All zero: no key. Text and bytes are equal if they are the same key; so codecs must write equal
// keys alike.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace bulkhead::detail {

struct PackedKey {
  static constexpr bool kMayBeLong = true;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const PackedKey&) const = default;
  [[nodiscard]] bool is_none() const { return high == 0; }
  [[nodiscard]] bool is_long() const { return high >> 56 == 0xFF; }
  /// Of a short one.
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(high >> 56) - 1; }
  [[nodiscard]] PackedKey packed() const { return *this; }
};

struct TinyKey {
  static constexpr bool kMayBeLong = false;
  std::uint64_t bits = 0;
  bool operator==(const TinyKey&) const = default;
  [[nodiscard]] bool is_none() const { return bits == 0; }
  [[nodiscard]] PackedKey packed() const { return {bits & ~kTop, bits & kTop}; }

  static constexpr std::uint64_t kTop = std::uint64_t{0xFF} << 56;
  /// Of a short one.
  static bool has_room(PackedKey key) { return ((key.low & kTop) | (key.high & ~kTop)) == 0; }
  static TinyKey of(PackedKey key) { return {key.low | key.high}; }
};

inline constexpr std::size_t kLongestShortKey = 15;

/// The same in every process and on every day. Of its bits the top ones are the best.
/// After wyhash by Wang Yi: the halves of a 128-bit product, folded.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
/// The upper half of the product.
inline std::uint64_t high_product(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(a) * b >> 64);
}
inline constexpr std::uint64_t kSeedLow = 0x9AE1'6A3B'2F90'404F;
inline constexpr std::uint64_t kSeedHigh = 0xC3A5'C85C'97CB'3127;
inline constexpr std::uint64_t kSpread = 0x9E37'79B9'7F4A'7C15;

inline std::uint64_t hash_of_short(PackedKey key) {
  // What is added sees to keys that make a factor zero.
  return (mix(key.low ^ kSeedLow, key.high ^ kSeedHigh) + (key.low ^ std::rotl(key.high, 32))) *
         kSpread;
}
inline std::uint64_t hash_of_short(TinyKey key) {
  return hash_of_short(key.packed());
}
[[nodiscard]] std::uint64_t hash_of_long(std::string_view key);

/// Bytes of a key of at most 15, which may lie anywhere. Reads 16 bytes where that cannot reach
/// another page.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kMayReadBehind = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kMayReadBehind = false;
#else
inline constexpr bool kMayReadBehind = true;
#endif
#else
inline constexpr bool kMayReadBehind = true;
#endif

/// The first `size` of 16 bytes; the others are zero.
inline PackedKey first_bytes(const char* bytes, std::size_t size) {
  PackedKey key;
  __asm__("" : "+r"(bytes));  // compilers that know what ends there would warn
#if defined(__x86_64__)
  alignas(16) static constexpr std::array<unsigned char, 32> kMasks = [] {
    std::array<unsigned char, 32> masks{};
    for (std::size_t i = 0; i < 16; ++i) masks[i] = 0xFF;
    return masks;
  }();
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  const __m128i mask = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kMasks[16 - size]));
  const __m128i some = _mm_and_si128(all, mask);
  key.low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(some));
  key.high = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(some, some)));
#else
  std::memcpy(&key.low, bytes, 8);
  std::memcpy(&key.high, bytes + 8, 8);
  const std::size_t in_low = size < 8 ? size : 8;
  const std::size_t in_high = size - in_low;
  key.low &= in_low == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * in_low)) - 1;
  key.high &= (std::uint64_t{1} << (8 * in_high)) - 1;
#endif
  return key;
}

inline PackedKey pack_short(const char* bytes, std::size_t size) {
  constexpr std::uintptr_t kPage = 4096;
  PackedKey key;
  // Null, of an empty text, is taken for the end of a page.
  if (kMayReadBehind && (reinterpret_cast<std::uintptr_t>(bytes) - 1) % kPage < kPage - 16)
      [[likely]] {
    key = first_bytes(bytes, size);
  } else {
    std::array<char, 16> copy{};
    if (size != 0) std::memcpy(copy.data(), bytes, size);
    std::memcpy(&key.low, copy.data(), 8);
    std::memcpy(&key.high, copy.data() + 8, 8);
  }
  key.high |= static_cast<std::uint64_t>(size + 1) << 56;
  return key;
}

/// Of the bytes of any key.
inline std::uint64_t hash_of(std::string_view key) {
  return key.size() > kLongestShortKey ? hash_of_long(key)
                                       : hash_of_short(pack_short(key.data(), key.size()));
}

}  // namespace bulkhead::detail
