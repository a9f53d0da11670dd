// SPDX-License-Identifier: MIT
#include <bulkhead/detail/private_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20;

TEST(PrivateMemory, GrowsWithWhatIsInIt) {
  PrivateMemory memory;
  memory.grow(10);
  std::memset(memory.data(), 1, 10);
  for (std::size_t size = kMib; size <= 64 * kMib; size *= 4) {
    memory.grow(size);
    ASSERT_GE(memory.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % (2 * kMib), 0U)
        << "no huge page can begin there";
    for (std::size_t i = 0; i < 10; ++i) ASSERT_EQ(memory.data()[i], std::byte{1});
    ASSERT_EQ(memory.data()[size - 1], std::byte{0});
  }
  const std::byte* const before = memory.data();
  memory.grow(kMib);
  EXPECT_EQ(memory.data(), before) << "it was large enough";
}

TEST(PrivateMemory, IsZeroWhereItWasWipedAndWhatItDoesNotKeep) {
  constexpr std::size_t kAll = 300 * kMib;  // more than is wiped by hand
  PrivateMemory memory(kAll);
  const auto touch = [&](std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 1000) memory.data()[i] = std::byte{1};
  };
  for (const std::size_t used : {1 * kMib, 8 * kMib, kAll}) {
    for (const std::size_t kept : {1 * kMib, 3 * kMib, 8 * kMib}) {
      touch(used);
      memory.wipe(used, kept);
      for (std::size_t i = 0; i < used; i += 1000) ASSERT_EQ(memory.data()[i], std::byte{0}) << i;
    }
  }
  touch(8 * kMib);
  memory.give_back(4 * kMib);
  for (std::size_t i = 0; i < 8 * kMib; i += 1000)
    ASSERT_EQ(memory.data()[i], std::byte{i < 4 * kMib}) << i;
}

}  // namespace
}  // namespace bulkhead::detail
