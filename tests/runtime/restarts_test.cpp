// SPDX-License-Identifier: MIT
#include "runtime/restarts.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

const Restarts::Time kNow = Restarts::Time() + 1000s;

TEST(Restarts, AreAllowedAtOnceAtFirst) {
  const Restarts restarts(4);
  EXPECT_TRUE(restarts.allowed());
  EXPECT_LE(restarts.not_before(), kNow);
}

TEST(Restarts, EndAfterTwoDeathsAtStartPerWorkerInARow) {
  Restarts restarts(2);
  for (int i = 0; i < 3; ++i) restarts.died_at_start();
  EXPECT_TRUE(restarts.allowed());
  restarts.died_at_start();
  EXPECT_FALSE(restarts.allowed());
}

TEST(Restarts, ForgetDeathsAtStartOnceAWorkerIsReady) {
  Restarts restarts(1);
  for (int i = 0; i < 100; ++i) {
    restarts.died_at_start();
    EXPECT_TRUE(restarts.allowed());
    restarts.succeeded();
  }
}

TEST(Restarts, PauseLongerAfterEachRefusalInARow) {
  Restarts restarts(4);
  restarts.refused(kNow, true);
  EXPECT_EQ(restarts.not_before(), kNow + 10ms);
  restarts.refused(kNow + 1s, true);
  EXPECT_EQ(restarts.not_before(), kNow + 1s + 20ms);
  restarts.refused(kNow + 2s, true);
  EXPECT_EQ(restarts.not_before(), kNow + 2s + 40ms);
}

TEST(Restarts, BeginWithTheShortestPauseAgainOnceAWorkerIsReady) {
  Restarts restarts(4);
  for (int i = 0; i < 5; ++i) restarts.refused(kNow, true);
  restarts.succeeded();
  restarts.refused(kNow, true);
  EXPECT_EQ(restarts.not_before(), kNow + 10ms);
}

TEST(Restarts, EndAfterTenRefusalsToAPoolWithoutWorkers) {
  Restarts restarts(4);
  for (int i = 0; i < 9; ++i) restarts.refused(kNow + i * 1h, true);
  EXPECT_FALSE(restarts.hopeless());
  restarts.refused(kNow + 9h, true);
  EXPECT_TRUE(restarts.hopeless());
}

TEST(Restarts, GoOnForEverWhileThePoolHasWorkers) {
  Restarts restarts(4);
  for (int i = 0; i < 1000; ++i) {
    const auto now = kNow + i * 1h;
    restarts.refused(now, false);
    EXPECT_TRUE(restarts.allowed());
    EXPECT_LE(restarts.not_before(), now + 2s);
  }
  EXPECT_FALSE(restarts.hopeless());
}

TEST(Restarts, DoNotMixDeathsWithRefusals) {
  Restarts restarts(5);
  for (int i = 0; i < 9; ++i) {
    restarts.died_at_start();
    restarts.refused(kNow, true);
  }
  EXPECT_TRUE(restarts.allowed());
}

// As many refusals come at once as workers were asked for at once, up to 1024.
TEST(Restarts, SurviveManyRefusalsAtOnce) {
  Restarts restarts(1024);
  for (int i = 0; i < 1024; ++i) {
    restarts.refused(kNow, true);
    ASSERT_GT(restarts.not_before(), kNow) << "refusal " << i;
    ASSERT_LT(restarts.not_before(), kNow + 1h) << "refusal " << i;
  }
  EXPECT_FALSE(restarts.hopeless()) << "they count as one";
}

}  // namespace
}  // namespace bulkhead::detail
