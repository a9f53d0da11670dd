// SPDX-License-Identifier: MIT
//
// Codec<T>: how a value of type T becomes bytes and a value again. Arguments, results and the state
// of functors travel by it. What has a codec out of the box:
//   - everything that cereal serializes: include its header for the type, or give the type a
//     serialize()
//   - trivially copyable structs, by a copy of their bytes. No compiler can look inside: a pointer
//     in one is copied too, and points nowhere in the other process
//   - std::string and vectors of trivially copyable elements, by one copy
// For any other type, or another format, specialize it. decode() may throw anything.
//
//   template <> struct bulkhead::Codec<Message> {
//     static void encode(const Message& value, bulkhead::ByteWriter& out);
//     static Message decode(bulkhead::ByteReader& in);
//   };
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/archive.hpp>
#include <bulkhead/detail/bulk.hpp>
#include <bulkhead/detail/refers.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <cereal/types/array.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

namespace bulkhead {

template <class T>
struct Codec;

namespace detail {

/// The bytes of a T are its value, and cereal would do no more than copy them.
template <class T>
concept Bitwise = !kRefersElsewhere<T> && std::is_trivially_copyable_v<T> &&
                  (std::is_arithmetic_v<T> || std::is_enum_v<T> || kPlainStruct<T>);

template <class T>
concept ByCereal = !Bitwise<T> && !kRefersElsewhere<T> && std::is_default_constructible_v<T> &&
                   cereal::traits::is_output_serializable<T, WriteArchive>::value &&
                   cereal::traits::is_input_serializable<T, ReadArchive>::value;

/// T goes by a copy of its bytes: unless the user has given it a codec of his own.
template <class T>
concept PlainCoded = requires {
  requires Codec<T>::kPlain;
};

/// One contiguous array of plain elements: a size, then the bytes.
template <class T>
inline constexpr bool kBulk = false;
template <PlainCoded T, class A>
  requires std::is_default_constructible_v<T>
inline constexpr bool kBulk<std::vector<T, A>> = !std::is_same_v<T, bool>;
template <Bitwise C, class Tr, class A>
inline constexpr bool kBulk<std::basic_string<C, Tr, A>> = true;
template <class T>
concept Bulk = kBulk<T>;

}  // namespace detail

template <detail::Bitwise T>
struct Codec<T> {
  static constexpr bool kPlain = true;

  static void encode(const T& value, ByteWriter& out) { out.put(value); }
  static T decode(ByteReader& in) {
    if constexpr (std::is_same_v<T, bool>) {
      return in.get<std::uint8_t>() != 0;  // any other bit pattern would not be a bool
    } else {
      std::array<std::byte, sizeof(T)> bytes;
      in.read(bytes.data(), sizeof(T));
      return std::bit_cast<T>(bytes);
    }
  }
};

template <detail::Bulk T>
struct Codec<T> {
  static constexpr bool kBulk = true;

  static void encode(const T& value, ByteWriter& out) { detail::write_bulk(value, out); }
  static T decode(ByteReader& in) {
    T value;
    detail::read_bulk(value, in);
    return value;
  }
};

namespace detail {

/// The user has specialized Codec<T>, or T is an element of a map: neither plain nor cereal's.
template <class T>
concept UserCoded = requires(const T& value, ByteWriter& out) {
  Codec<T>::encode(value, out);
}
&&!requires {
  Codec<T>::kPlain;
}
&&!requires {
  Codec<T>::kBulk;
}
&&!requires {
  Codec<T>::kCereal;
}
&&!requires {
  Codec<T>::kVector;
};

template <class T>
inline constexpr bool kOfUserCoded = false;
template <class T, class A>
inline constexpr bool kOfUserCoded<std::vector<T, A>> = UserCoded<T>;

}  // namespace detail

/// A vector of elements that have a codec of the user's.
template <detail::UserCoded T, class A>
struct Codec<std::vector<T, A>> {
  static constexpr bool kVector = true;

  static void encode(const std::vector<T, A>& values, ByteWriter& out) {
    out.put(static_cast<std::uint64_t>(values.size()));
    for (const T& value : values) Codec<T>::encode(value, out);
  }
  static std::vector<T, A> decode(ByteReader& in) {
    std::vector<T, A> values;
    const auto count = in.get<std::uint64_t>();
    if (count > detail::kUnprovenElements) in.expect(count, 1);
    for (std::uint64_t i = 0; i < count; ++i) values.push_back(Codec<T>::decode(in));
    return values;
  }
};

/// An element of a map.
template <class Key, class Value>
struct Codec<std::pair<const Key, Value>> {
  using Pair = std::pair<const Key, Value>;

  static void encode(const Pair& pair, ByteWriter& out) {
    Codec<Key>::encode(pair.first, out);
    Codec<Value>::encode(pair.second, out);
  }
  static Pair decode(ByteReader& in) {
    Key key = Codec<Key>::decode(in);
    return {std::move(key), Codec<Value>::decode(in)};
  }
};

namespace detail {
template <class T>
inline constexpr bool kOfMap = false;
template <class Key, class Value>
inline constexpr bool kOfMap<std::pair<const Key, Value>> = true;
}  // namespace detail

template <detail::ByCereal T>
  requires(!detail::Bulk<T> && !detail::kOfUserCoded<T> && !detail::kOfMap<T>)
struct Codec<T> {
  static constexpr bool kCereal = true;

  static void encode(const T& value, ByteWriter& out) {
    detail::WriteArchive archive(out);
    archive(value);
  }
  static T decode(ByteReader& in) {
    T value;
    detail::ReadArchive archive(in);
    archive(value);
    return value;
  }
};

/// T can cross between processes.
template <class T>
concept Encodable = requires(const T& value, ByteWriter& out, ByteReader& in) {
  Codec<T>::encode(value, out);
  { Codec<T>::decode(in) } -> std::same_as<T>;
};

namespace detail {

/// T goes by its count and a copy of its elements' bytes.
template <class T>
concept BulkCoded = requires {
  requires Codec<T>::kBulk;
};

/// Encodable, and its elements too: cereal's own test of a container does not look inside it.
template <class T>
inline constexpr bool kDeeplyEncodable = Encodable<T>;
template <class T>
  requires(!Bitwise<T> && Encodable<T> && requires { typename T::value_type; })
inline constexpr bool kDeeplyEncodable<T> =
    kDeeplyEncodable<std::remove_const_t<typename T::value_type>> &&
    (std::is_default_constructible_v<typename T::value_type> || kOfUserCoded<T>);
template <class T>
  requires(!std::is_polymorphic_v<T>)
inline constexpr bool kDeeplyEncodable<std::unique_ptr<T>> =
    kDeeplyEncodable<std::remove_const_t<T>>;
template <class T>
  requires(!std::is_polymorphic_v<T>)
inline constexpr bool kDeeplyEncodable<std::shared_ptr<T>> =
    kDeeplyEncodable<std::remove_const_t<T>>;
template <class A, class B>
inline constexpr bool kDeeplyEncodable<std::pair<A, B>> =
    kDeeplyEncodable<std::remove_const_t<A>>&& kDeeplyEncodable<std::remove_const_t<B>>;
template <class... Ts>
inline constexpr bool kDeeplyEncodable<std::tuple<Ts...>> = (kDeeplyEncodable<Ts> && ...);

/// Stops the compilation with a sentence if T has no codec.
template <class T>
constexpr void require_codec() {
  static_assert(
      !kRefersElsewhere<T>,
      "bulkhead: a pointer, string_view, span or reference_wrapper points into memory of this "
      "process and cannot be sent to a worker; use a value: std::string, std::vector, the "
      "object itself");
  static_assert(
      kRefersElsewhere<T> || kDeeplyEncodable<T>,
      "bulkhead: this type has no codec, so it cannot be sent to or from a worker. Give it "
      "`template <class Archive> void serialize(Archive& archive) { archive(members...); }` "
      "and a default constructor, or include cereal's header for it (<cereal/types/...>), or "
      "specialize bulkhead::Codec<T>");
}

}  // namespace detail
}  // namespace bulkhead
