// SPDX-License-Identifier: MIT
#include "worker/reset.hpp"

#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"

#include <chrono>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using ResetTest = test::ProcessTest;

struct State {
  test::Tally armed;
  test::Tally survived;
};
const test::Shared<State> state;

// The fork expects of what it has left that it ends by itself.
TEST_F(ResetTest, AProcessEndsWithItsParent) {
  state.reset();
  test::Fork parent([] {
    const pid_t self = ::getpid();
    if (::fork() == 0) {
      die_with_parent(self);
      state->armed.add();
      (void)state->survived.reaches(1, std::chrono::seconds{60});
      ::_exit(0);
    }
    EXPECT_TRUE(state->armed.reaches(1));
  });
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_EQ(state->armed.value(), 1U);
}

// Row 157: parent-dies-at-birth. The kernel tells only of deaths after it was asked to.
TEST_F(ResetTest, AProcessWhoseParentIsGoneAlreadyLeaves) {
  state.reset();
  test::Fork parent([] {
    const pid_t self = ::getpid();
    if (::fork() != 0) return;
    if (test::eventually([self] { return ::getppid() != self; })) die_with_parent(self);
    state->survived.add();
    ::_exit(1);
  });
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_EQ(state->survived.value(), 0U);
}

}  // namespace
}  // namespace bulkhead::detail
