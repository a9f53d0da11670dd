// SPDX-License-Identifier: MIT
//
// Pools in tasks of pools.
#include "tests/support/process.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/pool.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::HasSubstr;
using NestingTest = test::ProcessTest;

/// How deep it has come when it must not go deeper, and why.
std::string descend(int depth) {
  try {
    Pool pool(1);
    return pool.apply(descend, depth + 1);
  } catch (const Error& error) {
    return std::to_string(depth) + ": " + error.what();
  }
}

TEST_F(NestingTest, AnExceptionKeepsItsTypeThroughAllOfThem) {
  Pool pool(1);
  const auto outcomes = pool.try_map(
      [](int x) {
        return Pool(1).apply([](int y) -> int { throw std::out_of_range(std::to_string(y)); }, x);
      },
      {7});
  EXPECT_EQ(outcomes.at(0).failure().type_name(), "std::out_of_range");
  EXPECT_THAT(outcomes[0].failure().message(), HasSubstr("threw std::out_of_range: 7"));
  EXPECT_THROW(outcomes[0].failure().raise(), std::out_of_range);
}

// A broadcast of a task's own pool is as good as one of the task's.
TEST_F(NestingTest, BroadcastsGoAllTheWayUp) {
  const auto make_within = [](int x) {
    const auto make = [](int y) { return broadcast(std::vector<double>(100, y)); };
    Pool own(1);
    const auto made = own.apply(make, x);
    const auto read = [](const Broadcast<double[]>& all, int) { return all[99]; };
    EXPECT_EQ(own.map(partial(read, made), {1, 2}), (std::vector<double>{7, 7}));
    return made;
  };
  Pool pool(1);
  const auto made = pool.apply(make_within, 7);
  EXPECT_EQ(made[99], 7);
}

// Row 194.
TEST_F(NestingTest, WithoutEndIsRefusedAndNoForkBomb) {
  const std::string end = descend(0);
  EXPECT_THAT(end, HasSubstr("8: bulkhead: "));
  EXPECT_THAT(end, HasSubstr("8 pools deep"));
}

}  // namespace
}  // namespace bulkhead
