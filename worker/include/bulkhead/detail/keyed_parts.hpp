// SPDX-License-Identifier: MIT
//
// What the user has as a reducer, taken apart: what combines values where there are any, and what
// makes the result of a key in the end.
#pragma once

#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/reducers.hpp>
#include <bulkhead/values.hpp>

#include <type_traits>
#include <vector>

namespace bulkhead::detail {

/// The value of a key is its result.
struct AsItIs {
  template <class K, class V>
  V operator()(const K&, V value) const {
    return value;
  }
};
/// Values are not combined before they are all together.
struct NoCombiner {};

template <class Reducer>
struct ReducerParts {
  using Combiner = Reducer;
  using Finisher = AsItIs;
  static const Combiner& combiner(const Reducer& reducer) { return reducer; }
  static Finisher finisher(const Reducer&) { return {}; }
};
template <class Reducer, class F>
struct ReducerParts<Finish<Reducer, F>> {
  using Combiner = Reducer;
  using Finisher = F;
  static const Combiner& combiner(const Finish<Reducer, F>& both) { return both.reducer; }
  static const Finisher& finisher(const Finish<Reducer, F>& both) { return both.f; }
};
template <class F>
struct ReducerParts<Group<F>> {
  using Combiner = NoCombiner;
  using Finisher = F;
  static Combiner combiner(const Group<F>&) { return {}; }
  static const Finisher& finisher(const Group<F>& group) { return group.f; }
};

template <class Combiner>
inline constexpr bool kBuiltIn = std::is_same_v<Combiner, Sum> || std::is_same_v<Combiner, Count> ||
                                 std::is_same_v<Combiner, Min> || std::is_same_v<Combiner, Max>;
/// The result is the same, to the last bit, wherever the input is divided.
template <class V, class Combiner>
inline constexpr bool kExact = std::is_same_v<Combiner, NoCombiner> ||
                               (std::is_integral_v<V> && kBuiltIn<Combiner>);

template <class K, class V, class Combiner, class Finisher>
struct KeyedResultOf : std::invoke_result<Finisher&, const K&, V> {};
template <class K, class V, class Finisher>
struct KeyedResultOf<K, V, NoCombiner, Finisher>
    : std::invoke_result<Finisher&, const K&, bulkhead::Values<V>&> {};
/// What is said of a key in the end.
template <class K, class V, class Reducer>
using KeyedValue =
    std::decay_t<typename KeyedResultOf<K, V, typename ReducerParts<Reducer>::Combiner,
                                        typename ReducerParts<Reducer>::Finisher>::type>;

}  // namespace bulkhead::detail
