// SPDX-License-Identifier: MIT
#include <bulkhead/detail/arrivals.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Failure failure_of(std::uint64_t task) {
  FailureDetails details;
  details.task = task;
  return Failure(std::move(details));
}

using Taken = std::vector<std::pair<std::uint64_t, int>>;

/// Index and value of all that can be taken; -1: a failure.
template <class Gather>
Taken take(Gather& gather) {
  std::vector<Arrival<int>> chunk;
  gather.take_into(chunk);
  Taken taken;
  for (const auto& [index, outcome] : chunk) taken.emplace_back(index, outcome.value_or(-1));
  return taken;
}

TEST(InOrder, GivesResultsInTheOrderOfTheirElements) {
  InOrder<int> gather;
  EXPECT_FALSE(gather.any());
  gather.place(2, 20);
  EXPECT_FALSE(gather.any());
  EXPECT_THAT(take(gather), IsEmpty());
  gather.fail(0, failure_of(0));
  EXPECT_TRUE(gather.any());
  EXPECT_THAT(take(gather), ElementsAre(Pair(0, -1)));
  gather.place(1, 10);
  EXPECT_THAT(take(gather), ElementsAre(Pair(1, 10), Pair(2, 20)));
  EXPECT_FALSE(gather.any());
}

TEST(AsTheyCome, GivesResultsInTheOrderInWhichTheyCame) {
  AsTheyCome<int> gather;
  EXPECT_FALSE(gather.any());
  gather.place(2, 20);
  gather.fail(0, failure_of(0));
  EXPECT_THAT(take(gather), ElementsAre(Pair(2, 20), Pair(0, -1)));
  EXPECT_THAT(take(gather), IsEmpty());
}

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

TEST(InOrder, WaitsOnlyForTheNextResultWhenThereIsTooMuch) {
  InOrder<int> gather;
  EXPECT_EQ(gather.horizon(), kAll);
  gather.weigh(InOrder<int>::kMostBytes);
  gather.place(1, 10);
  EXPECT_EQ(gather.horizon(), 1U);
  gather.weigh(8);
  gather.place(0, 0);
  EXPECT_THAT(take(gather), ElementsAre(Pair(0, 0), Pair(1, 10)));
  EXPECT_EQ(gather.horizon(), 3U);  // those that were taken last may still be there
  EXPECT_THAT(take(gather), IsEmpty());
  EXPECT_EQ(gather.horizon(), kAll);
  EXPECT_EQ(gather.bytes(), 0U);
}

TEST(AsTheyCome, WaitsForNothingWhenThereIsTooMuch) {
  AsTheyCome<int> gather;
  gather.weigh(InOrder<int>::kMostBytes);
  gather.place(1, 10);
  EXPECT_EQ(gather.horizon(), 0U);
  take(gather);
  take(gather);
  EXPECT_EQ(gather.horizon(), kAll);
}

TEST(AsTheyCome, AttachesOutputToItsResult) {
  AsTheyCome<int> gather;
  for (const int x : {3, 1, 2}) gather.place(static_cast<std::uint64_t>(x), x);
  const auto text = [](const char* out) {
    auto output = std::make_shared<TaskOutput>();
    output->out = out;
    return output;
  };
  gather.attach(3, text("three"));
  gather.attach(2, text("two"));
  gather.attach(1, text("one"));
  std::vector<Arrival<int>> chunk;
  gather.take_into(chunk);
  std::vector<std::string> outputs;
  for (const auto& each : chunk) outputs.push_back(each.outcome.output().out);
  EXPECT_THAT(outputs, ElementsAre("three", "one", "two"));
}

}  // namespace
}  // namespace bulkhead::detail
