// SPDX-License-Identifier: MIT
//
// Codecs for what only cereal knows: shared_ptr, polymorphic pointers (CEREAL_REGISTER_TYPE),
// private or versioned serialize(), base_class, CEREAL_NVP, types with a header of their own in
// <cereal/types/>. To be included where such a type is sent; without it, pool.hpp does not need
// cereal. Objects shared within one value are shared when they come back.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/archive.hpp>

#include <memory>
#include <type_traits>

#include <cereal/types/array.hpp>
#include <cereal/types/base_class.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

namespace bulkhead {
namespace detail {

template <class T>
inline constexpr bool kKnownToCereal =
    cereal::traits::is_output_serializable<T, WriteArchive>::value&&
        cereal::traits::is_input_serializable<T, ReadArchive>::value;

/// What T holds has a codec too: cereal does not look inside before it is too late.
template <class T>
inline constexpr bool kHoldsEncodable = true;
template <class T>
  requires requires {
    typename T::value_type;
  }
inline constexpr bool kHoldsEncodable<T> = Encodable<std::remove_const_t<typename T::value_type>>;
template <class T>
  requires(!std::is_polymorphic_v<T>)
inline constexpr bool kHoldsEncodable<std::unique_ptr<T>> = Encodable<std::remove_const_t<T>>;
template <class T>
  requires(!std::is_polymorphic_v<T>)
inline constexpr bool kHoldsEncodable<std::shared_ptr<T>> = Encodable<std::remove_const_t<T>>;

template <class T>
concept CerealCoded =
    std::is_class_v<T> && std::is_default_constructible_v<T> && !kStandard<T> && !Bitwise<T> &&
    !SerializesItself<T> && !kRefersElsewhere<T> && kKnownToCereal<T> && kHoldsEncodable<T>;

template <class T>
inline constexpr bool kCerealWrapper = false;
template <class T>
inline constexpr bool kCerealWrapper<cereal::NameValuePair<T>> = true;
template <class T>
inline constexpr bool kCerealWrapper<cereal::BinaryData<T>> = true;
template <class T>
inline constexpr bool kCerealWrapper<cereal::SizeTag<T>> = true;
template <class K, class V>
inline constexpr bool kCerealWrapper<cereal::MapItem<K, V>> = true;
template <class T>
inline constexpr bool kCerealWrapper<cereal::DeferredData<T>> = true;
template <class T>
inline constexpr bool kCerealWrapper<cereal::base_class<T>> = true;
template <class T>
inline constexpr bool kCerealWrapper<cereal::virtual_base_class<T>> = true;
template <class T>
concept CerealWrapper = kCerealWrapper<std::remove_const_t<T>>;

}  // namespace detail

template <detail::CerealCoded T>
struct Codec<T> {
  static void encode(const T& value, ByteWriter& out) { detail::WriteArchive::of(out)(value); }
  static T decode(ByteReader& in) {
    T value;
    detail::ReadArchive::of(in)(value);
    return value;
  }
};

/// For wrappers within a serialize(), which refer to what is written or read.
template <detail::CerealWrapper T>
void save_by_cereal(ByteWriter& out, const T& value) {
  detail::WriteArchive::of(out)(value);
}
template <detail::CerealWrapper T>
void load_by_cereal(ByteReader& in, T& value) {
  detail::ReadArchive::of(in)(value);
}

}  // namespace bulkhead
