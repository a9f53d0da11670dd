// SPDX-License-Identifier: MIT
//
// Functions with state that cannot be rebuilt in the workers: these die of it.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

struct State {
  test::Tally deaths;
  std::uint32_t deadly = 0;  ///< so many workers die while they rebuild the function
};
const test::Shared<State> state;

/// Adds the size of its state.
struct Deadly {
  std::vector<double> values;

  int operator()(int x) const { return static_cast<int>(values.size()) + x; }
};

}  // namespace

template <>
struct Codec<Deadly> {
  static void encode(const Deadly& function, ByteWriter& out) {
    Codec<std::vector<double>>::encode(function.values, out);
  }
  static Deadly decode(ByteReader& in) {
    const bool dies = state->deaths.value() < state->deadly;
    if (dies) {
      state->deaths.add();
      ::raise(SIGKILL);
    }
    return {Codec<std::vector<double>>::decode(in)};
  }
};

namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

/// By the number of elements in the state: it is read in the worker before, or while, it is sent.
class RebuildingTest : public test::ProcessTest, public ::testing::WithParamInterface<std::size_t> {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

TEST_P(RebuildingTest, ThatKillsEveryWorkerEndsTheCallAfterAFewDeaths) {
  state->deadly = ~0U;
  Pool pool(2);
  const Deadly function{std::vector<double>(GetParam())};
  const auto outcomes = pool.try_map(function, test::numbers(0, 100));
  ASSERT_THAT(outcomes, SizeIs(100));
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().kind(), FailureKind::crashed);
    EXPECT_THAT(outcome.failure().what(), HasSubstr("rebuilt the function object"));
    EXPECT_THAT(outcome.failure().what(), HasSubstr("SIGKILL"));
  }
  EXPECT_LE(state->deaths.value(), 10U);
  EXPECT_THROW((void)pool.map(function, test::numbers(0, 100)), CrashError);
  EXPECT_EQ(pool.apply([](int x) { return x; }, 5), 5);
}

TEST_P(RebuildingTest, ThatKillsAFewWorkersCostsNoTask) {
  state->deadly = 3;
  Pool pool(1);
  const auto size = static_cast<int>(GetParam());
  const Deadly function{std::vector<double>(GetParam())};
  EXPECT_EQ(pool.map(function, test::numbers(0, 100)), test::numbers(size, size + 100));
  EXPECT_EQ(state->deaths.value(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RebuildingTest, ::testing::Values(1, 300'000));

}  // namespace
}  // namespace bulkhead
