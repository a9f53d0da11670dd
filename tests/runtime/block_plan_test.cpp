// SPDX-License-Identifier: MIT
//
// Blocks of pieces: each piece is in one block at a time, whatever fails.
#include "runtime/block_plan.hpp"

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

TEST(BlockPlan, GivesAllPiecesInOrder) {
  BlockPlan plan;
  EXPECT_EQ(plan.next(10), (Elements{0, 10}));
  plan.give(6);
  EXPECT_EQ(plan.next(10), (Elements{6, 4}));
  plan.give(4);
  EXPECT_EQ(plan.next(10), (Elements{10, 0}));
  EXPECT_EQ(plan.next(12), (Elements{10, 2})) << "there are more now";
  EXPECT_EQ(plan.find(0)->pieces, (Elements{0, 6}));
  EXPECT_EQ(plan.open(), 2U);
  plan.finish(0);
  EXPECT_EQ(plan.find(0), nullptr);
  EXPECT_EQ(plan.known(), 2U);
}

TEST(BlockPlan, WhatABlockLeavesIsForOthers) {
  BlockPlan plan;
  plan.give(10);
  plan.finish(0, 3);
  EXPECT_EQ(plan.find(0), nullptr);
  EXPECT_EQ(plan.next(10), (Elements{3, 7}));
  plan.give(4);
  EXPECT_EQ(plan.next(10), (Elements{7, 3}));
  plan.give(3);
  EXPECT_FALSE(plan.has_leftovers());
  plan.finish(1, 4);
  EXPECT_FALSE(plan.has_leftovers()) << "it left nothing";
}

TEST(BlockPlan, APieceThatIsTriedAgainIsByItself) {
  BlockPlan plan;
  plan.give(10);
  plan.narrow(0, 4, true);
  EXPECT_EQ(plan.find(0)->pieces, (Elements{4, 1}));
  EXPECT_TRUE(plan.has_leftovers());
  EXPECT_EQ(plan.next(10), (Elements{0, 4}));
  plan.give(3);
  EXPECT_EQ(plan.next(10), (Elements{3, 1}));
  plan.give(1);
  EXPECT_EQ(plan.next(10), (Elements{5, 5}));
  plan.give(5);
  EXPECT_EQ(plan.next(10).count, 0U);
}

TEST(BlockPlan, BehindAFailureNothingIsWanted) {
  BlockPlan plan;
  plan.give(4);
  plan.give(4);
  plan.give(4);
  plan.narrow(1, 6, false);
  plan.fail(1, true);
  EXPECT_TRUE(plan.has_failed());
  EXPECT_TRUE(plan.is_wanted(0));
  EXPECT_FALSE(plan.is_wanted(2));
  EXPECT_EQ(plan.next(100), (Elements{4, 2})) << "what comes before it may fail, too";
}

TEST(BlockPlan, AFailureMayCostItsPieceOnly) {
  BlockPlan plan;
  plan.give(10);
  plan.narrow(0, 4, false);
  plan.fail(0, false);
  EXPECT_FALSE(plan.has_failed());
  EXPECT_EQ(plan.next(10), (Elements{0, 4}));
  plan.give(4);
  EXPECT_EQ(plan.next(10), (Elements{5, 5}));
}

}  // namespace
}  // namespace bulkhead::detail
