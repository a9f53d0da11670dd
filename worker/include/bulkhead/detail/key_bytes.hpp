// SPDX-License-Identifier: MIT
//
// Keys as bytes, and keys again. Equal keys must have equal bytes.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bulkhead::detail {

template <class K>
inline constexpr bool kTextKey = std::is_same_v<K, std::string>;
/// The bytes of a K are those of the key.
template <class K>
inline constexpr bool kPlainKey = PlainCoded<K> && (std::has_unique_object_representations_v<K> ||
                                                    std::is_floating_point_v<K>);

/// There is one zero.
template <class K, class Key>
K plain_key(const Key& key) {
  if constexpr (std::is_floating_point_v<K>) {
    return static_cast<K>(key) + K{0};
  } else {
    return K(key);
  }
}

/// Calls `use(std::string_view bytes)`.
template <class K, class Key, class Use>
auto with_bytes(const Key& key, Use use) {
  static_assert(kTextKey<K> ? std::is_convertible_v<const Key&, std::string_view>
                            : std::is_constructible_v<K, const Key&>,
                "bulkhead: no K can be made of the key that emit() was given");
  if constexpr (kTextKey<K>) {
    return use(std::string_view(key));
  } else if constexpr (kPlainKey<K>) {
    const K plain = plain_key<K>(key);
    return use(std::string_view(reinterpret_cast<const char*>(&plain), sizeof plain));
  } else {
    std::array<std::byte, 256> memory;
    SpillWriter out(memory);
    if constexpr (std::is_same_v<Key, K>) {
      Codec<K>::encode(key, out);
    } else {
      Codec<K>::encode(K(key), out);
    }
    if (!out.spilled())
      return use(std::string_view(reinterpret_cast<const char*>(memory.data()), out.size()));
    const std::vector<std::byte> bytes = out.take();
    return use(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
}

template <class K>
K key_of(std::string_view bytes) {
  if constexpr (kTextKey<K>) {
    return K(bytes);
  } else {
    SpanReader in(std::as_bytes(std::span(bytes)));
    return Codec<K>::decode(in);
  }
}

}  // namespace bulkhead::detail
