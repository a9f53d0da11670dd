// SPDX-License-Identifier: MIT
//
// Codec<T>: how a value of type T becomes bytes and a value again. Arguments, results and the state
// of functors travel by it. What has a codec out of the box:
//   - numbers, enums, and trivially copyable structs by a copy of their bytes. No compiler can look
//     inside: a pointer in one is copied too, and points nowhere in the other process
//   - strings, pairs, tuples, optionals, variants, the containers of the standard library, and
//     unique_ptr, of what has a codec (detail/standard.hpp)
//   - types that serialize themselves as for cereal:
//       template <class Archive> void serialize(Archive& archive) { archive(name, age); }
//     or by save() and load(), as members or beside the type
//   - what else cereal knows: shared_ptr, polymorphic pointers, private or versioned serialize():
//     include <bulkhead/cereal.hpp>, and cereal's header for the type
// For any other type, or another format, specialize it. decode() may throw anything.
//
//   template <> struct bulkhead::Codec<Message> {
//     static void encode(const Message& value, bulkhead::ByteWriter& out);
//     static Message decode(bulkhead::ByteReader& in);
//   };
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/refers.hpp>
#include <bulkhead/detail/self_coded.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace bulkhead {

template <class T>
struct Codec;

/// T can cross between processes.
template <class T>
concept Encodable = requires(const T& value, ByteWriter& out, ByteReader& in) {
  Codec<T>::encode(value, out);
  { Codec<T>::decode(in) } -> std::same_as<T>;
};

namespace detail {

/// A template of the standard library that has a codec of its own, in detail/standard.hpp.
template <class T>
inline constexpr bool kStandard = false;

/// The bytes of a T are its value.
template <class T>
concept Bitwise = !kRefersElsewhere<T> && std::is_trivially_copyable_v<T> &&
                  (std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                   (std::is_class_v<T> && !kStandard<T> && !KnowsArchives<T>));

/// T goes by a copy of its bytes: unless the user has given it a codec of his own.
template <class T>
concept PlainCoded = requires {
  requires Codec<T>::kPlain;
};
/// T goes by its count and a copy of its elements' bytes.
template <class T>
concept BulkCoded = requires {
  requires Codec<T>::kBulk;
};

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

template <detail::SerializesItself T>
  requires(!detail::kStandard<T> && !detail::kRefersElsewhere<T>)
struct Codec<T> {
  static constexpr bool kSelf = true;

  static void encode(const T& value, ByteWriter& out) { detail::save_object(value, out); }
  static T decode(ByteReader& in) {
    T value{};
    detail::load_object(value, in);
    return value;
  }
};

namespace detail {

/// A container or a pair of the standard library that has no codec for what it holds.
template <class T>
concept HoldsUnencodable = kStandard<T> && requires {
  typename T::value_type;
} && !Encodable<std::remove_const_t<typename T::value_type>>;
template <class T>
concept PairsUnencodable = kStandard<T> && requires {
  typename T::first_type;
  typename T::second_type;
};

/// Stops the compilation with a sentence if T has no codec: about the part that is to blame.
template <class T>
constexpr void require_codec() {
  if constexpr (HoldsUnencodable<T>) {
    require_codec<std::remove_const_t<typename T::value_type>>();
  } else if constexpr (PairsUnencodable<T>) {
    require_codec<std::remove_const_t<typename T::first_type>>();
    require_codec<std::remove_const_t<typename T::second_type>>();
  } else {
    static_assert(
        !kRefersElsewhere<T>,
        "bulkhead: a pointer, string_view, span or reference_wrapper points into memory of this "
        "process and cannot be sent to a worker; use a value: std::string, std::vector, the "
        "object itself");
    static_assert(
        kRefersElsewhere<T> || Encodable<T>,
        "bulkhead: this type has no codec, so it cannot be sent to or from a worker. Give it "
        "`template <class Archive> void serialize(Archive& archive) { archive(members...); }`, "
        "public and not const, and a default constructor, or specialize bulkhead::Codec<T>; for "
        "shared_ptr, polymorphic pointers and what else cereal knows include "
        "<bulkhead/cereal.hpp> and cereal's header for it (<cereal/types/...>)");
  }
}

}  // namespace detail
}  // namespace bulkhead

#include <bulkhead/detail/standard.hpp>
