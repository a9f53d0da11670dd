// SPDX-License-Identifier: MIT
//
// Cells: how small plain values lie in a run, a frame of many. An argument is followed by zero to
// seven bytes of nothing. A result has a check in its last four bytes: it may lie in the outbox for
// a while when its worker is busy with another task already, which may overwrite it.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/frame.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

namespace bulkhead::detail {

/// Small values whose bytes are all there is to them.
template <class T>
concept FitsCell = PlainCoded<T> && sizeof(T) <= 64 && !std::is_same_v<T, bool>;
template <class R>
inline constexpr bool kResultFitsCell = std::is_void_v<R>;
template <FitsCell R>
inline constexpr bool kResultFitsCell<R> = true;

template <FitsCell T>
inline constexpr std::uint32_t kArgumentCell = aligned(sizeof(T));
/// Where there is no result, there is a sign that the task is done.
template <class R>
inline constexpr std::uint32_t kResultCell = kFrameAlign;
template <FitsCell R>
inline constexpr std::uint32_t kResultCell<R> = aligned(sizeof(R) + sizeof(std::uint32_t));

template <class T>
using CellValue = std::array<std::byte, sizeof(T)>;

/// What stands behind the result of task number `task` if it is `value`.
template <std::size_t kBytes>
std::uint32_t result_check(const std::array<std::byte, kBytes>& value, std::uint64_t task) {
  std::uint64_t hash = task + 0x62756c6b68656164u;
  for (std::size_t at = 0; at < kBytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, value.data() + at, kBytes - at < 8 ? kBytes - at : 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
  }
  return static_cast<std::uint32_t>(hash);
}

template <FitsCell T>
T get_argument(const std::byte* cell) {
  CellValue<T> value;
  std::memcpy(value.data(), cell, sizeof(T));
  return std::bit_cast<T>(value);
}

template <FitsCell T>
void put_argument(std::byte* cell, const T& argument) {
  std::memcpy(cell, &argument, sizeof(T));
}

/// Reads each byte once. Nothing: it is not what put_result() wrote for that task.
template <FitsCell T>
std::optional<T> get_result(const std::byte* cell, std::uint64_t task) {
  CellValue<T> value;
  std::uint32_t check = 0;
  std::memcpy(value.data(), cell, sizeof(T));
  std::memcpy(&check, cell + kResultCell<T> - sizeof check, sizeof check);
  if (check != result_check(value, task)) return std::nullopt;
  return std::bit_cast<T>(value);
}

template <FitsCell T>
void put_result(std::byte* cell, const T& result, std::uint64_t task) {
  CellValue<T> value;
  std::memcpy(value.data(), &result, sizeof(T));
  const std::uint32_t check = result_check(value, task);
  std::memcpy(cell, value.data(), sizeof(T));
  std::memcpy(cell + kResultCell<T> - sizeof check, &check, sizeof check);
}

}  // namespace bulkhead::detail
