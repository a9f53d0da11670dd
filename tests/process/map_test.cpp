// SPDX-License-Identifier: MIT
//
// What the caller of map sees when all goes well.
#include "tests/support/footprint.hpp"
#include <bulkhead/pool.hpp>

#include <numeric>
#include <vector>

namespace bulkhead {
namespace {

using MapTest = test::ProcessTest;

int square(int x) {
  return x * x;
}

// Row 1: map-basic.
TEST_F(MapTest, GivesTheResultsOfASerialMapInOrder) {
  Pool pool(4);
  std::vector<int> xs(100);
  std::iota(xs.begin(), xs.end(), 0);
  std::vector<int> expected;
  for (const int x : xs) expected.push_back(square(x));
  EXPECT_EQ(pool.map(square, xs), expected);
}

}  // namespace
}  // namespace bulkhead
