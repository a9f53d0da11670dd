// SPDX-License-Identifier: MIT
//
// Arrays of plain elements: a count, then the elements' bytes in one piece. No claimed count is
// believed before its bytes have come.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace bulkhead::detail {

/// An array grows by this at a time while its bytes come.
inline constexpr std::size_t kBulkStepBytes = 256 * 1024;

/// No value is larger: what claims to be makes no sense.
inline constexpr std::uint64_t kMaxBulkBytes = std::uint64_t{1} << 39;

/// Throws DecodeError if an array of `count` elements cannot be meant.
template <class Element>
void require_possible(std::uint64_t count) {
  if (count <= kMaxBulkBytes / sizeof(Element)) return;
  throw DecodeError("the data claims an array of " + std::to_string(count) +
                    " elements; writer and reader do not agree on the type");
}

/// `Array` is a vector or a string.
template <class Array>
void write_bulk(const Array& array, ByteWriter& out) {
  out.put(static_cast<std::uint64_t>(array.size()));
  out.write(array.data(), array.size() * sizeof(typename Array::value_type));
}

/// Replaces what is in `array`.
template <class Array>
void read_bulk(Array& array, ByteReader& in) {
  using Element = typename Array::value_type;
  const auto count = in.get<std::uint64_t>();
  if (count <= in.available() / sizeof(Element)) {
    if constexpr (sizeof(Element) == 1 && std::is_integral_v<Element>) {
      const auto* first = reinterpret_cast<const Element*>(in.take(count));
      array = Array(first, first + count);  // faster than assign(), which looks what is there
    } else {
      array.clear();
      array.resize(count);
      in.read(array.data(), count * sizeof(Element));
    }
    return;
  }
  in.expect(count, sizeof(Element));
  array.clear();
  require_possible<Element>(count);
  array.reserve(count);
  constexpr std::size_t kStep = kBulkStepBytes / sizeof(Element) + 1;
  for (std::size_t done = 0; done < count;) {
    const std::size_t step = std::min<std::size_t>(kStep, count - done);
    array.resize(done + step);
    in.read(array.data() + done, step * sizeof(Element));
    done += step;
  }
}

}  // namespace bulkhead::detail
