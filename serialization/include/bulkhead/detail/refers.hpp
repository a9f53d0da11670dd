// SPDX-License-Identifier: MIT
//
// Types that point into the memory of the process, so that their bytes mean nothing in another.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace bulkhead::detail {

template <class T>
inline constexpr bool kRefersElsewhere = std::is_pointer_v<T> || std::is_member_pointer_v<T>;
template <class C, class Tr>
inline constexpr bool kRefersElsewhere<std::basic_string_view<C, Tr>> = true;
template <class T, std::size_t N>
inline constexpr bool kRefersElsewhere<std::span<T, N>> = true;
template <class T>
inline constexpr bool kRefersElsewhere<std::reference_wrapper<T>> = true;
template <class T>
inline constexpr bool kRefersElsewhere<std::initializer_list<T>> = true;
template <class... Ts>
inline constexpr bool kRefersElsewhere<std::tuple<Ts...>> = (kRefersElsewhere<Ts> || ...);
template <class A, class B>
inline constexpr bool kRefersElsewhere<std::pair<A, B>> =
    kRefersElsewhere<A> || kRefersElsewhere<B>;
template <class T, std::size_t N>
inline constexpr bool kRefersElsewhere<std::array<T, N>> = kRefersElsewhere<T>;
template <std::input_or_output_iterator T>
  requires std::is_class_v<T>
inline constexpr bool kRefersElsewhere<T> = true;
template <class T>
inline constexpr bool kRefersElsewhere<std::optional<T>> = kRefersElsewhere<T>;
template <class... Ts>
inline constexpr bool kRefersElsewhere<std::variant<Ts...>> = (kRefersElsewhere<Ts> || ...);

}  // namespace bulkhead::detail
