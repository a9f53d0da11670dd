// SPDX-License-Identifier: MIT
//
// What becomes of the values of a key, for Pool::map_reduce_by_key.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/reduce_callable.hpp>

#include <type_traits>
#include <utility>

namespace bulkhead {
namespace detail {

struct Sum {
  template <class V>
  void operator()(V& sum, V&& value) const {
    sum += std::move(value);
  }
};
/// Of values that are made ones before: see Emitter.
struct Count : Sum {};
struct Min {
  template <class V>
  void operator()(V& least, V&& value) const {
    if (value < least) least = std::move(value);
  }
};
struct Max {
  template <class V>
  void operator()(V& most, V&& value) const {
    if (most < value) most = std::move(value);
  }
};
template <class F>
struct Combine {
  F f;
  template <class V>
  void operator()(V& sum, V&& value) {
    sum = f(std::move(sum), std::move(value));
  }
};

/// Nothing is combined before all values of a key are together.
template <class F>
struct Group {
  F f;
};
/// `F` makes the result of a key of what `Reducer` has made of its values.
template <class Reducer, class F>
struct Finish {
  Reducer reducer;
  F f;
};

}  // namespace detail

template <class F>
  requires(!std::is_empty_v<F>)
struct Codec<detail::Combine<F>> {
  static void encode(const detail::Combine<F>& combine, ByteWriter& out) {
    detail::encode_callable(combine.f, out);
  }
  static detail::Combine<F> decode(ByteReader& in) { return {detail::decode_callable<F>(in)}; }
};

/// f(a, b) of two values a and b is one value, which has to be the same however values are
/// bracketed: f is associative. What comes earlier in the input is on the left, so f need not be
/// commutative. A function, a lambda without captures, or what else can be sent (see Pool::map).
template <class F>
[[nodiscard]] detail::Combine<F> combine(F f) {
  return {std::move(f)};
}
/// The same, for who wants to say that f does not commute.
template <class F>
[[nodiscard]] detail::Combine<F> ordered_combine(F f) {
  return combine(std::move(f));
}
/// Their sum, by +=.
inline constexpr detail::Sum sum{};
/// How many there are, whatever they are.
inline constexpr detail::Count count{};
/// The least, by <.
inline constexpr detail::Min min{};
/// The greatest, by <.
inline constexpr detail::Max max{};

/// f(key, values) is the result for each key, where `values` are all of its values, in the order of
/// the input: a Values<V>&, see there. It is called once for each key, in a worker. f as for
/// combine().
template <class F>
[[nodiscard]] detail::Group<F> group(F f) {
  return {std::move(f)};
}
/// f(key, value) is the result for each key, where `value` is what `reducer` makes of its values.
/// It is called once for each key, in a worker. f as for combine().
template <class Reducer, class F>
[[nodiscard]] detail::Finish<Reducer, F> finish(Reducer reducer, F f) {
  return {std::move(reducer), std::move(f)};
}

}  // namespace bulkhead
