// SPDX-License-Identifier: MIT
//
// Pools in tasks of pools.
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <string>

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

// Row 194.
TEST_F(NestingTest, WithoutEndIsRefusedAndNoForkBomb) {
  const std::string end = descend(0);
  EXPECT_THAT(end, HasSubstr("8: bulkhead: "));
  EXPECT_THAT(end, HasSubstr("8 pools deep"));
}

}  // namespace
}  // namespace bulkhead
