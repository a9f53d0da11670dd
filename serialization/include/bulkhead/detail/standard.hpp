// SPDX-License-Identifier: MIT
//
// Codecs of the standard library's templates. Each has one if what it holds has one.
//
// - string, vector of plain elements: a count (u64), the elements' bytes in one piece
// - other containers: a count (u64), the elements
// - pair, tuple, array: the parts
// - optional, unique_ptr: a u8, and if that is 1 the value
// - variant: the index (u32), the alternative
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/bulk.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace bulkhead {
namespace detail {

/// Elements accepted although the bytes that remain do not prove them: types may encode to nothing.
inline constexpr std::uint64_t kUnprovenElements = 1 << 16;

template <class C, class Tr, class A>
inline constexpr bool kStandard<std::basic_string<C, Tr, A>> = true;
template <class T, std::size_t N>
inline constexpr bool kStandard<std::array<T, N>> = true;
template <class T, class U>
inline constexpr bool kStandard<std::pair<T, U>> = true;
template <class... Ts>
inline constexpr bool kStandard<std::tuple<Ts...>> = true;
template <class T>
inline constexpr bool kStandard<std::optional<T>> = true;
template <class... Ts>
inline constexpr bool kStandard<std::variant<Ts...>> = true;

/// Containers that grow at their end, and those that find places by themselves.
template <class T>
inline constexpr bool kSequence = false;
template <class T, class A>
inline constexpr bool kSequence<std::vector<T, A>> = true;
template <class T, class A>
inline constexpr bool kSequence<std::deque<T, A>> = true;
template <class T, class A>
inline constexpr bool kSequence<std::list<T, A>> = true;

template <class T>
inline constexpr bool kAssociative = false;
template <class T, class C, class A>
inline constexpr bool kAssociative<std::set<T, C, A>> = true;
template <class T, class C, class A>
inline constexpr bool kAssociative<std::multiset<T, C, A>> = true;
template <class K, class V, class C, class A>
inline constexpr bool kAssociative<std::map<K, V, C, A>> = true;
template <class K, class V, class C, class A>
inline constexpr bool kAssociative<std::multimap<K, V, C, A>> = true;
template <class T, class H, class E, class A>
inline constexpr bool kAssociative<std::unordered_set<T, H, E, A>> = true;
template <class T, class H, class E, class A>
inline constexpr bool kAssociative<std::unordered_multiset<T, H, E, A>> = true;
template <class K, class V, class H, class E, class A>
inline constexpr bool kAssociative<std::unordered_map<K, V, H, E, A>> = true;
template <class K, class V, class H, class E, class A>
inline constexpr bool kAssociative<std::unordered_multimap<K, V, H, E, A>> = true;

template <class T>
  requires kSequence<T> || kAssociative<T>
inline constexpr bool kStandard<T> = true;

/// What a container of T, or a part of a pair or tuple, is decoded as.
template <class T>
using Part = std::remove_const_t<T>;

/// One contiguous array of plain elements.
template <class T>
inline constexpr bool kBulkElement =
    PlainCoded<T>&& std::is_default_constructible_v<T> && !std::is_same_v<T, bool>;
template <class T>
inline constexpr bool kBulkVector = false;
template <class T, class A>
inline constexpr bool kBulkVector<std::vector<T, A>> = kBulkElement<T>;

/// A number of elements, which the bytes that remain may hold.
inline std::uint64_t read_count(ByteReader& in) {
  const auto count = in.get<std::uint64_t>();
  if (count > kUnprovenElements) in.expect(count, 1);
  return count;
}

template <class Container>
void write_elements(const Container& elements, ByteWriter& out) {
  using Element = typename Container::value_type;
  out.put(static_cast<std::uint64_t>(elements.size()));
  for (const auto& element : elements) Codec<Element>::encode(element, out);
}

/// Makes room for `count` elements, as far as the bytes that are here may fill it.
template <class Container>
void make_room(Container& elements, std::uint64_t count, const ByteReader& in) {
  if constexpr (requires { elements.reserve(1); } && kSequence<Container>) {
    const std::size_t likely = in.available() / sizeof(typename Container::value_type) + 4;
    elements.reserve(std::min<std::uint64_t>(count, likely));
  }
}

/// Appends the next element.
template <class Container>
void decode_element(Container& elements, ByteReader& in) {
  using Element = typename Container::value_type;
  if constexpr (FilledInPlace<Element>) {
    decode_into(elements.emplace_back(), in);
  } else {
    elements.push_back(Codec<Element>::decode(in));
  }
}

}  // namespace detail

template <detail::PlainCoded C, class Tr, class A>
struct Codec<std::basic_string<C, Tr, A>> {
  using T = std::basic_string<C, Tr, A>;
  static constexpr bool kBulk = true;

  static void encode(const T& value, ByteWriter& out) { detail::write_bulk(value, out); }
  static T decode(ByteReader& in) {
    T value;
    detail::read_bulk(value, in);
    return value;
  }
};

template <class T>
  requires(detail::kSequence<T>&& Encodable<typename T::value_type>)
struct Codec<T> {
  static constexpr bool kBulk = detail::kBulkVector<T>;

  static void encode(const T& values, ByteWriter& out) {
    if constexpr (kBulk) {
      detail::write_bulk(values, out);
    } else {
      detail::write_elements(values, out);
    }
  }
  static T decode(ByteReader& in) {
    T values;
    if constexpr (kBulk) {
      detail::read_bulk(values, in);
    } else {
      const std::uint64_t count = detail::read_count(in);
      detail::make_room(values, count, in);
      for (std::uint64_t i = 0; i < count; ++i) {
        detail::decode_element(values, in);
      }
    }
    return values;
  }
};

template <class T>
  requires(detail::kAssociative<T>&& Encodable<typename T::value_type>)
struct Codec<T> {
  static void encode(const T& values, ByteWriter& out) { detail::write_elements(values, out); }
  static T decode(ByteReader& in) {
    T values;
    const std::uint64_t count = detail::read_count(in);
    for (std::uint64_t i = 0; i < count; ++i) {
      values.insert(values.end(), Codec<typename T::value_type>::decode(in));
    }
    return values;
  }
};

template <class A, class B>
  requires Encodable<detail::Part<A>> && Encodable<detail::Part<B>>
struct Codec<std::pair<A, B>> {
  static void encode(const std::pair<A, B>& value, ByteWriter& out) {
    Codec<detail::Part<A>>::encode(value.first, out);
    Codec<detail::Part<B>>::encode(value.second, out);
  }
  static std::pair<A, B> decode(ByteReader& in) {
    detail::Part<A> first = Codec<detail::Part<A>>::decode(in);
    return {std::move(first), Codec<detail::Part<B>>::decode(in)};
  }
};

template <class... Ts>
  requires(Encodable<detail::Part<Ts>>&&...)
struct Codec<std::tuple<Ts...>> {
  static void encode(const std::tuple<Ts...>& value, ByteWriter& out) {
    std::apply([&](const Ts&... parts) { (Codec<detail::Part<Ts>>::encode(parts, out), ...); },
               value);
  }
  static std::tuple<Ts...> decode([[maybe_unused]] ByteReader& in) {
    return std::tuple<Ts...>{Codec<detail::Part<Ts>>::decode(in)...};  // braces: from left to right
  }
};

template <Encodable T, std::size_t N>
  requires std::is_default_constructible_v<T>
struct Codec<std::array<T, N>> {
  static constexpr bool kPlain = detail::kBulkElement<T>;

  static void encode(const std::array<T, N>& value, ByteWriter& out) {
    if constexpr (kPlain) {
      out.write(value.data(), N * sizeof(T));
    } else {
      for (const T& element : value) Codec<T>::encode(element, out);
    }
  }
  static std::array<T, N> decode(ByteReader& in) {
    std::array<T, N> value;
    if constexpr (kPlain) {
      in.read(value.data(), N * sizeof(T));
    } else {
      for (T& element : value) detail::decode_into(element, in);
    }
    return value;
  }
};

template <Encodable T>
struct Codec<std::optional<T>> {
  static void encode(const std::optional<T>& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value.has_value()));
    if (value) Codec<T>::encode(*value, out);
  }
  static std::optional<T> decode(ByteReader& in) {
    if (in.get<std::uint8_t>() == 0) return std::nullopt;
    return std::optional<T>(Codec<T>::decode(in));
  }
};

/// Of an object of exactly that type: a base class may stand for any other.
template <class T>
  requires(!std::is_polymorphic_v<T> && Encodable<detail::Part<T>>)
struct Codec<std::unique_ptr<T>> {
  static void encode(const std::unique_ptr<T>& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value != nullptr));
    if (value) Codec<detail::Part<T>>::encode(*value, out);
  }
  static std::unique_ptr<T> decode(ByteReader& in) {
    if (in.get<std::uint8_t>() == 0) return nullptr;
    return std::make_unique<T>(Codec<detail::Part<T>>::decode(in));
  }
};

template <Encodable... Ts>
struct Codec<std::variant<Ts...>> {
  using T = std::variant<Ts...>;

  /// Throws Error if an exception has left the variant without a value.
  static void encode(const T& value, ByteWriter& out) {
    if (value.valueless_by_exception()) {
      throw Error("bulkhead: a std::variant that an exception has left without a value was sent");
    }
    out.put(static_cast<std::uint32_t>(value.index()));
    std::visit([&]<class U>(const U& alternative) { Codec<U>::encode(alternative, out); }, value);
  }
  static T decode(ByteReader& in) {
    const auto index = in.get<std::uint32_t>();
    if (index >= sizeof...(Ts)) {
      throw DecodeError("the data claims alternative " + std::to_string(index) +
                        " of a variant that has " + std::to_string(sizeof...(Ts)));
    }
    return decode_alternative<0>(index, in);
  }

 private:
  template <std::size_t kIndex>
  static T decode_alternative(std::uint32_t index, ByteReader& in) {
    if constexpr (kIndex + 1 < sizeof...(Ts)) {
      if (index != kIndex) return decode_alternative<kIndex + 1>(index, in);
    }
    return T(std::in_place_index<kIndex>, Codec<std::variant_alternative_t<kIndex, T>>::decode(in));
  }
};

}  // namespace bulkhead
