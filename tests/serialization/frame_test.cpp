// SPDX-License-Identifier: MIT
#include <bulkhead/detail/frame.hpp>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

TEST(Frame, TakesItsHeaderAndItsPayloadRoundedUpToEight) {
  EXPECT_EQ(frame_bytes(0), 24U);
  EXPECT_EQ(frame_bytes(1), 32U);
  EXPECT_EQ(frame_bytes(8), 32U);
  EXPECT_EQ(frame_bytes(9), 40U);
}

}  // namespace
}  // namespace bulkhead::detail
