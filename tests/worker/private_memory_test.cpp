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

TEST(PrivateMemory, IsZeroWhereItWasWiped) {
  PrivateMemory memory(4 * kMib);
  std::memset(memory.data(), 1, 4 * kMib);
  memory.wipe(3 * kMib);
  for (std::size_t i = 0; i < 3 * kMib; i += 1000) ASSERT_EQ(memory.data()[i], std::byte{0});
}

}  // namespace
}  // namespace bulkhead::detail
