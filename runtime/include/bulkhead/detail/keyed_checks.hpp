// SPDX-License-Identifier: MIT
//
// What a keyed job asks of its types, in sentences that the compiler says.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_parts.hpp>
#include <bulkhead/reducers.hpp>
#include <bulkhead/values.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

/// Stands for what mappers emit by. It is never called.
template <class K, class V>
struct AnyEmitter {
  AnyEmitter(const AnyEmitter&) = delete;
  AnyEmitter& operator=(const AnyEmitter&) = delete;
  template <class Key>
  void operator()(const Key&) const {}
  template <class Key, class Value>
  void operator()(const Key&, const Value&) const {}
  void count(std::string_view, std::uint64_t = 1) const {}
};

/// What a function of group() or finish() returns for a key.
template <class R>
constexpr void require_stored() {
  static_assert(!std::is_void_v<R>,
                "bulkhead: the function of group() or finish() returns nothing: it is to return "
                "the result of the key");
  if constexpr (!std::is_void_v<R>) require_codec<R>();
}

template <class Reducer>
struct ReducerKind {
  static constexpr bool kKnown = kBuiltIn<Reducer>;
  static constexpr void require_sendable_parts() {}
  template <class K, class V>
  static constexpr bool kTakesAll = true;
};
template <class F>
struct ReducerKind<Combine<F>> {
  static constexpr bool kKnown = true;
  static constexpr void require_sendable_parts() { require_sendable<F>(); }
  template <class K, class V>
  static constexpr bool kTakesAll = std::is_invocable_r_v<V, F&, V, V>;
};
template <class F>
struct ReducerKind<Group<F>> {
  static constexpr bool kKnown = true;
  static constexpr void require_sendable_parts() { require_sendable<F>(); }
  template <class K, class V>
  static constexpr bool kTakesAll = std::is_invocable_v<F&, const K&, bulkhead::Values<V>&>;
};
template <class Reducer, class F>
struct ReducerKind<Finish<Reducer, F>> {
  static constexpr bool kKnown = ReducerKind<Reducer>::kKnown;
  static constexpr void require_sendable_parts() {
    ReducerKind<Reducer>::require_sendable_parts();
    require_sendable<F>();
  }
  template <class K, class V>
  static constexpr bool kTakesAll =
      ReducerKind<Reducer>::template kTakesAll<K, V>&& std::is_invocable_v<F&, const K&, V>;
};

/// Values have what a built-in reducer does with them.
template <class Combiner, class V>
constexpr bool has_operators() {
  if constexpr (std::is_same_v<Combiner, Sum> || std::is_same_v<Combiner, Count>) {
    return requires(V & sum, V value) {
      sum += std::move(value);
    };
  } else if constexpr (std::is_same_v<Combiner, Min> || std::is_same_v<Combiner, Max>) {
    return requires(const V& value) {
      value < value;
    };
  } else {
    return true;
  }
}

/// Bytes of a K that say nothing of it would make two keys of one.
template <class K>
inline constexpr bool kEqualInBytes =
    !PlainCoded<K> || std::is_floating_point_v<K> || std::has_unique_object_representations_v<K>;

/// Equal ones may have their bytes in another order, wherever in a type they are.
template <class T>
inline constexpr bool kUnordered = requires {
  typename T::hasher;
};
template <template <class...> class Holder, class... Parts>
inline constexpr bool kUnordered<Holder<Parts...>> = requires {
  typename Holder<Parts...>::hasher;
}
|| (kUnordered<Parts> || ...);

/// True if it compiles; else says what is wrong.
template <class K, class V, class Item, class Mapper, class Reducer>
constexpr bool require_keyed_types() {
  static_assert(std::is_default_constructible_v<V>,
                "bulkhead: values of a keyed job have to be default-constructible");
  if constexpr (!std::is_same_v<K, std::string>) require_codec<K>();
  require_codec<V>();
  static_assert(kEqualInBytes<K>,
                "bulkhead: keys are told apart by their bytes, and this type has some that mean "
                "nothing (padding): use a std::pair, a std::tuple or a type with serialize()");
  static_assert(!kUnordered<K>,
                "bulkhead: keys are told apart by their bytes, and equal unordered containers may "
                "have theirs in another order: use std::set or std::map");
  static_assert(ReducerKind<Reducer>::kKnown,
                "bulkhead: a reducer of a keyed job is sum, min, max, count, combine(f), group(f) "
                "or finish(reducer, f): write combine(f) for a function that makes one of two "
                "values");
  static_assert(has_operators<typename ReducerParts<Reducer>::Combiner, V>(),
                "bulkhead: sum and count need a += of values, min and max a <");
  require_sendable<Mapper>();
  ReducerKind<Reducer>::require_sendable_parts();
  if constexpr (ReducerKind<Reducer>::kKnown) {
    static_assert(
        ReducerKind<Reducer>::template kTakesAll<K, V>,
        "bulkhead: the function of the reducer does not take what it is given: of "
        "combine, two values (V, V), for one; of group, (const K&, bulkhead::Values<V>&); "
        "of finish, (const K&, V)");
    if constexpr (ReducerKind<Reducer>::template kTakesAll<K, V>)
      require_stored<KeyedValue<K, V, Reducer>>();
  }
  static_assert(std::is_invocable_v<Mapper&, Item, AnyEmitter<K, V>&>,
                "bulkhead: the mapper does not take (item, auto& emit): of text() and records() an "
                "item is a std::string_view, of files() a const File&, of mapped() and blocks() a "
                "std::span<const T>, of a result a std::pair<K, V>, of a range an element");
  return true;
}

}  // namespace bulkhead::detail
