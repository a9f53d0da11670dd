// SPDX-License-Identifier: MIT
//
// fork_map: whatever can be called, on whatever is in memory, in workers forked at the call.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/fork_map.hpp>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ForkMapTest = test::ProcessTest;

/// Can be neither copied nor sent anywhere.
struct Anchored {
  explicit Anchored(int its_weight) : weight(its_weight) {}
  Anchored(const Anchored&) = delete;
  Anchored& operator=(const Anchored&) = delete;
  int weight;
  std::mutex mutex;
  const Anchored* self = this;
};

TEST_F(ForkMapTest, SeesWhatTheCallableHasCaptured) {
  std::vector<int> table(1000);
  std::iota(table.begin(), table.end(), 0);
  int offset = 5;
  const auto look_up = [&table, offset](std::size_t i) { return table[i] + offset; };
  EXPECT_THAT(fork_map(look_up, std::vector<std::size_t>{0, 10, 999}), ElementsAre(5, 15, 1004));
  table[10] = -5;
  EXPECT_THAT(fork_map(look_up, std::vector<std::size_t>{10}), ElementsAre(0));
}

TEST_F(ForkMapTest, TakesElementsThatCannotBeSent) {
  std::list<Anchored> storage;
  for (int i = 0; i < 20; ++i) storage.emplace_back(i);
  std::vector<const Anchored*> pointers;
  for (const Anchored& anchored : storage) pointers.push_back(&anchored);
  const auto weigh = [](const Anchored* anchored) {
    return anchored->self == anchored ? anchored->weight : -1;
  };
  const std::vector<int> weights = fork_map(weigh, pointers);
  ASSERT_THAT(weights, SizeIs(20));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(weights[static_cast<std::size_t>(i)], i);

  std::vector<std::unique_ptr<Anchored>> owners;
  owners.push_back(std::make_unique<Anchored>(7));
  EXPECT_THAT(
      fork_map([](const std::unique_ptr<Anchored>& owner) { return owner->weight; }, owners),
      ElementsAre(7));
  const std::vector<std::string_view> views{"a", "bcd"};
  EXPECT_THAT(fork_map([](std::string_view view) { return view.size(); }, views),
              ElementsAre(1, 3));
}

TEST_F(ForkMapTest, TakesAnyCallable) {
  const std::function<int(int)> function = [twice = 2](int x) { return twice * x; };
  EXPECT_THAT(fork_map(function, std::vector{1, 2}), ElementsAre(2, 4));
  auto counter = [calls = 0](int) mutable { return ++calls; };
  EXPECT_THAT(fork_map(counter, std::vector{0, 0, 0}, {.workers = 1}), ElementsAre(1, 2, 3));
  EXPECT_EQ(counter(0), 1) << "the caller's own was called";
  EXPECT_THAT(fork_map(&std::string::size, std::vector<std::string>{"abc"}), ElementsAre(3));
}

TEST_F(ForkMapTest, TakesRangesOfAllKinds) {
  const auto same = [](int x) { return x; };
  EXPECT_THAT(fork_map(same, std::vector<int>{}), IsEmpty());
  EXPECT_THAT(fork_map(same, std::list{1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(fork_map(same, test::numbers(0, 3)), ElementsAre(0, 1, 2));
#if BULKHEAD_TEST_VIEWS
  EXPECT_THAT(
      fork_map(same, std::vector{1, 2} | std::views::transform([](int x) { return 5 * x; })),
      ElementsAre(5, 10));
  std::istringstream stream("4 5 6");
  EXPECT_THAT(fork_map(same, std::ranges::istream_view<int>(stream)), ElementsAre(4, 5, 6));
#endif
  const std::vector<bool> bits{true, false};
  EXPECT_THAT(fork_map([](bool bit) { return bit ? 1 : 0; }, bits), ElementsAre(1, 0));
}

TEST_F(ForkMapTest, TakesManyElements) {
  std::vector<double> xs(100'000, 1.5);
  const std::vector<double> results = fork_map([&](const double& x) { return 2 * x; }, xs);
  EXPECT_THAT(results, SizeIs(100'000));
  EXPECT_EQ(std::accumulate(results.begin(), results.end(), 0.0), 300'000.0);
}

// Hundreds of megabytes are seen, and not one of them is sent.
TEST_F(ForkMapTest, LargeElementsCostNothing) {
  const std::vector<std::vector<char>> elements(4, std::vector<char>(50'000'000, 'x'));
  const Options small{.workers = 2, .ring_bytes = 4096};
  const auto last = [](const std::vector<char>& element) { return element.back(); };
  EXPECT_THAT(fork_map(last, elements, small), Each('x'));
}

TEST_F(ForkMapTest, WhatATaskChangesStaysInItsWorker) {
  int counter = 0;
  std::vector<int> xs{1, 2, 3};
  fork_map(
      [&](int& x) {
        ++counter;
        x = 0;
      },
      xs);
  EXPECT_EQ(counter, 0);
  EXPECT_THAT(xs, ElementsAre(1, 2, 3));
}

TEST_F(ForkMapTest, ResultsOfAllKindsComeBack) {
  const std::string suffix = "!";
  const auto make = [&suffix](int x) {
    return std::make_unique<std::string>(std::string(static_cast<std::size_t>(x), 'w') + suffix);
  };
  const auto results = fork_map(make, std::vector{0, 3, 5'000'000});
  EXPECT_EQ(*results[0], "!");
  EXPECT_EQ(*results[1], "www!");
  EXPECT_EQ(results[2]->size(), 5'000'001U);
}

TEST_F(ForkMapTest, FailuresAreThoseOfMap) {
  int bad = 3;
  const auto fail = [&bad](int x) {
    if (x == bad) throw std::out_of_range("the bad one");
    return x;
  };
  try {
    (void)fork_map(fail, test::numbers(0, 10));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::out_of_range& error) {
    EXPECT_EQ(dynamic_cast<const RemoteError&>(error).failure().task(), 3U);
  }
  const auto outcomes = try_fork_map(fail, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x != 3);
}

TEST_F(ForkMapTest, ACrashCostsItsElementOnly) {
  std::vector<int> xs(100);
  std::iota(xs.begin(), xs.end(), 0);
  const auto task = [&xs](const int& x) {
    if (&x != &xs[static_cast<std::size_t>(x)]) throw std::logic_error("this is a copy");
    return x % 10 == 3 ? test::segfaults(x) : x;
  };
  const auto outcomes = try_fork_map(task, xs);
  ASSERT_THAT(outcomes, SizeIs(100));
  for (int x = 0; x < 100; ++x) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x % 10 != 3) << x;
  }
}

TEST_F(ForkMapTest, OptionsApply) {
  int started = 0;
  const auto task = [&](int) { return std::pair(started, ::getppid()); };
  Options options{.workers = 1, .initializer = [&] { started = 7; }};
  int reports = 0;
  const auto results = fork_map(task, test::numbers(0, 10), options,
                                {.progress = [&](const Progress&) { ++reports; }});
  for (const auto& [value, zygote] : results) {
    EXPECT_EQ(value, 7);
    EXPECT_EQ(zygote, results[0].second);
  }
  EXPECT_GE(reports, 1);
  EXPECT_THROW((void)fork_map(task, test::numbers(0, 10), {.workers = 0}), InvalidArgument);
}

TEST_F(ForkMapTest, AProcessWithOtherThreadsIsRefused) {
  const test::Shared<test::Tally> gate;
  std::thread other([&gate] {
    gate->add();
    EXPECT_TRUE(gate->reaches(2));
  });
  ASSERT_TRUE(gate->reaches(1)) << "a thread that starts may hold locks";
  const auto same = [](int x) { return x; };
  EXPECT_THROW((void)fork_map(same, std::vector{1}), Error);
  EXPECT_THAT(
      fork_map(same, std::vector{1}, {.workers = 1, .risk_locks_held_by_other_threads = true}),
      ElementsAre(1));
  gate->add();
  other.join();
}

}  // namespace
}  // namespace bulkhead
