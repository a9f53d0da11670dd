// SPDX-License-Identifier: MIT
//
// Values of one key as bytes, one behind the other: of plain ones, what they are; of others, their
// number (u32) and what they travel as.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/run_row.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace bulkhead::detail {

/// Calls `use(std::span<const std::byte>)` with the bytes that a list has for the value.
template <class V, class Use>
void with_list_bytes(const V& value, Use use) {
  if constexpr (kInSlot<V>) {
    use(std::as_bytes(std::span(&value, 1)));
  } else {
    std::array<std::byte, 256> memory;
    SpillWriter out(memory);
    out.put(std::uint32_t{0});
    Codec<V>::encode(value, out);
    const auto size = static_cast<std::uint32_t>(out.size() - sizeof(std::uint32_t));
    if (!out.spilled()) {
      std::memcpy(memory.data(), &size, sizeof size);
      return use(std::span<const std::byte>(memory).first(out.size()));
    }
    std::vector<std::byte> bytes = out.take();
    std::memcpy(bytes.data(), &size, sizeof size);
    use(std::span<const std::byte>(bytes));
  }
}

/// Bytes that the first value should have.
template <class V>
std::size_t first_list_bytes(std::span<const std::byte> list) {
  if constexpr (kInSlot<V>) {
    return sizeof(V);
  } else {
    std::uint32_t bytes = 0;
    if (list.size() >= sizeof bytes) std::memcpy(&bytes, list.data(), sizeof bytes);
    return sizeof bytes + bytes;
  }
}
/// True if the first value is there as a whole.
template <class V>
bool has_list_value(std::span<const std::byte> list) {
  return list.size() >= first_list_bytes<V>(list);
}
/// Bytes of the first value. Throws if there are fewer.
template <class V>
std::size_t first_list_value(std::span<const std::byte> list) {
  if (!has_list_value<V>(list)) throw DecodeError("bulkhead: a list of values ends too early");
  return first_list_bytes<V>(list);
}

/// The first value, which the list loses. Throws if it makes no sense.
template <class V>
V take_list_value(std::span<const std::byte>& list) {
  const std::size_t size = first_list_value<V>(list);
  const std::span<const std::byte> bytes = list.first(size);
  list = list.subspan(size);
  if constexpr (kInSlot<V>) {
    V value;
    std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
    return value;
  } else {
    SpanReader in(bytes.subspan(sizeof(std::uint32_t)));
    return Codec<V>::decode(in);
  }
}

/// A record has no more bytes of a list than twice that, or one value: a reader has it in memory.
inline constexpr std::size_t kMostListBytes = std::size_t{64} << 10;

/// Calls `use` with parts of the list, of whole values, of about `most` bytes each, until no more
/// than twice as many are left: how many bytes those were. The last value of the list need not be
/// whole.
template <class V, class Use>
std::size_t split_list(std::span<const std::byte> list, std::size_t most, Use use) {
  std::size_t taken = 0;
  while (list.size() - taken > 2 * most) {
    std::size_t size = 0;
    if constexpr (kInSlot<V>) {
      size = std::max<std::size_t>(most / sizeof(V), 1) * sizeof(V);
    } else {
      while (size < most) {
        const std::span<const std::byte> rest = list.subspan(taken + size);
        if (!has_list_value<V>(rest)) break;
        size += first_list_value<V>(rest);
      }
    }
    if (size == 0) break;
    use(list.subspan(taken, size));
    taken += size;
  }
  return taken;
}

}  // namespace bulkhead::detail
