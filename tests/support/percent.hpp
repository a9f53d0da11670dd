// SPDX-License-Identifier: MIT
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <cstdint>

namespace bulkhead {

/// Trivially copyable, but encoded by a codec of the user's: in one byte.
struct Percent {
  double value = 0;
};
template <>
struct Codec<Percent> {
  static void encode(const Percent& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value.value * 100));
  }
  static Percent decode(ByteReader& in) { return {in.get<std::uint8_t>() / 100.0}; }
};

}  // namespace bulkhead
