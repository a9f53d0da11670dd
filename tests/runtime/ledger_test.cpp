// SPDX-License-Identifier: MIT
#include "runtime/ledger.hpp"

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

TEST(Ledger, GivesOutTheLowestTasksFirst) {
  Ledger ledger;
  ledger.extend(10, true);
  EXPECT_EQ(ledger.take(4), (TaskRange{0, 4}));
  EXPECT_EQ(ledger.take(4), (TaskRange{4, 4}));
}

}  // namespace
}  // namespace bulkhead::detail
