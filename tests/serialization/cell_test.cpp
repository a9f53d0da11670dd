// SPDX-License-Identifier: MIT
#include <bulkhead/detail/cell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

struct Point {
  double x = 0;
  double y = 0;
  std::uint8_t colour = 0;
  bool operator==(const Point&) const = default;
};

template <class T>
std::array<std::byte, kResultCell<T>> cell_of(const T& result, std::uint64_t task) {
  std::array<std::byte, kResultCell<T>> cell{};
  put_result(cell.data(), result, task);
  return cell;
}

/// Gets back what was put; nothing for another task, nor if any bit of value or check has changed.
template <class T>
void expect_checked(const T& result) {
  constexpr std::uint64_t kTask = 77;
  const auto sound = cell_of(result, kTask);
  EXPECT_EQ(get_result<T>(sound.data(), kTask), result);
  EXPECT_FALSE(get_result<T>(sound.data(), kTask + 1));
  for (std::size_t at = 0; at < sound.size(); ++at) {
    const bool unused = at >= sizeof(T) && at < sound.size() - sizeof(std::uint32_t);
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = sound;
      damaged[at] ^= std::byte{1} << bit;
      EXPECT_EQ(get_result<T>(damaged.data(), kTask).has_value(), unused) << at << ":" << bit;
    }
  }
}

TEST(ResultCell, TellsADamagedResultFromASoundOne) {
  expect_checked<std::uint8_t>(200);
  expect_checked<std::int32_t>(-5);
  expect_checked<std::int64_t>(1LL << 40);
  expect_checked<double>(0.1);
  expect_checked(std::array<double, 8>{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST(ResultCell, OfZeroesOrOnesOnlyIsNone) {
  std::array<std::byte, kResultCell<std::int64_t>> cell{};
  for (std::uint64_t task = 0; task < 1000; ++task) {
    cell.fill(std::byte{0});
    EXPECT_FALSE(get_result<std::int64_t>(cell.data(), task));
    cell.fill(std::byte{0xff});
    EXPECT_FALSE(get_result<std::int64_t>(cell.data(), task));
  }
}

TEST(ResultCell, TakesTheBytesBetweenMembersForPartOfTheValue) {
  const Point point{1, 2, 3};
  const auto cell = cell_of(point, 5);
  EXPECT_EQ(get_result<Point>(cell.data(), 5), point);
}

TEST(ResultCell, OfFourBytesTakesNoMoreThanItsArgument) {
  EXPECT_EQ(kResultCell<std::int32_t>, kArgumentCell<std::int32_t>);
  EXPECT_EQ(kResultCell<std::int64_t>, 16U);
  EXPECT_EQ(kResultCell<void>, 8U);
}

}  // namespace
}  // namespace bulkhead::detail
