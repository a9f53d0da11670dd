// SPDX-License-Identifier: MIT
//
// Tasks that wait behind a long one are taken back and given to others: the long task of these
// tests ends only when all others have. Each runs once, wherever it was when it was taken back.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::HasSubstr;

constexpr int kMany = 60'000;
constexpr int kLong = -1;

struct State {
  test::Tally done;
  std::array<std::atomic<std::uint8_t>, kMany> runs;
};
const test::Shared<State> state;

/// The long task has the place given, all others are tiny.
class RevocationTest : public test::ProcessTest, public ::testing::WithParamInterface<int> {
 protected:
  RevocationTest() {
    state.reset();
    elements_[static_cast<std::size_t>(GetParam())] = kLong;
  }

  [[nodiscard]] const std::vector<int>& elements() const { return elements_; }

  static void expect_one_run_each() {
    for (int x = 0; x < kMany; ++x) {
      const bool is_long = x == GetParam();
      ASSERT_EQ(state->runs[static_cast<std::size_t>(x)], is_long ? 0 : 1) << x;
    }
  }

 private:
  std::vector<int> elements_ = test::numbers(0, kMany);
};

/// x; for the long task, whether all others have come to their end.
int tiny_or_long(int x) {
  if (x == kLong) return state->done.reaches(kMany - 1) ? kLong : -2;
  ++state->runs[static_cast<std::size_t>(x)];
  state->done.add();
  return x;
}

TEST_P(RevocationTest, InMidRun) {
  Pool pool(2);
  EXPECT_EQ(pool.map(tiny_or_long, elements()), elements());
  expect_one_run_each();
}

TEST_P(RevocationTest, WithThreeWorkers) {
  Pool pool(3);
  EXPECT_EQ(pool.map(tiny_or_long, elements()), elements());
  expect_one_run_each();
}

TEST_P(RevocationTest, OfTasksThatThrow) {
  Pool pool(2);
  const auto task = [](int x) {
    const int y = tiny_or_long(x);
    if (x % 7 == 3) throw std::runtime_error(std::to_string(x));
    return y;
  };
  const std::vector<Outcome<int>> outcomes = pool.try_map(task, elements());
  for (int x = 0; x < kMany; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    const int element = elements()[static_cast<std::size_t>(x)];
    ASSERT_EQ(outcome.has_value(), element % 7 != 3) << x;
    if (outcome) {
      ASSERT_EQ(*outcome, element);
    } else {
      ASSERT_THAT(outcome.failure().what(), HasSubstr(std::to_string(x)));
    }
  }
  expect_one_run_each();
}

TEST_P(RevocationTest, OfTasksWithoutResults) {
  Pool pool(2);
  pool.map([](int x) { static_cast<void>(tiny_or_long(x)); }, elements());
  expect_one_run_each();
}

TEST_P(RevocationTest, OfTasksInFramesOfTheirOwn) {
  Pool pool(2);
  std::vector<std::string> texts;
  for (const int x : elements()) texts.push_back(std::to_string(x));
  EXPECT_EQ(
      pool.map([](const std::string& text) { return std::to_string(tiny_or_long(stoi(text))); },
               texts),
      texts);
  expect_one_run_each();
}

TEST_P(RevocationTest, WhileTheNumberOfElementsIsUnknown) {
  Pool pool(2);
  EXPECT_EQ(pool.map(tiny_or_long, std::forward_list(elements().begin(), elements().end())),
            elements());
  expect_one_run_each();
}

TEST_P(RevocationTest, BehindALongTaskThatDiesAtItsEnd) {
  Pool pool(2);
  const auto task = [](int x) {
    const int y = tiny_or_long(x);
    return x == kLong ? test::kills_itself(y) : y;
  };
  const std::vector<Outcome<int>> outcomes = pool.try_map(task, elements());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_EQ(outcomes[i].has_value(), elements()[i] != kLong) << i;
  }
  EXPECT_TRUE(state->done.reaches(kMany - 1));
  expect_one_run_each();
}

INSTANTIATE_TEST_SUITE_P(OfThoseBehindElement, RevocationTest,
                         ::testing::Values(0, 1, 30'000, kMany - 2),
                         ::testing::PrintToStringParamName());

using LargeRevocationTest = test::ProcessTest;

// Half-sent, it is cut short and sent anew to whoever has nothing to do.
TEST_F(LargeRevocationTest, ALargeArgumentBehindALongTaskGoesToAnIdleWorker) {
  state.reset();
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  std::vector arguments(100, std::vector<std::byte>(100'000, std::byte{1}));
  arguments[50].front() = std::byte{0};
  const auto task = [](const std::vector<std::byte>& bytes) {
    if (bytes.front() == std::byte{0}) return state->done.reaches(99) ? 0 : -1;
    state->done.add();
    return static_cast<int>(bytes.size());
  };
  const std::vector<int> results = pool.map(task, arguments);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(results[i], i == 50 ? 0 : 100'000) << i;
}

}  // namespace
}  // namespace bulkhead
