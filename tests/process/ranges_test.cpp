// SPDX-License-Identifier: MIT
//
// Where elements come from: containers, views, streams, and ranges that throw or lie.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using SourceTest = test::ProcessTest;

struct State {
  test::Tally done;
};
const test::Shared<State> state;

int twice(int x) {
  return 2 * x;
}

TEST_F(SourceTest, ContainersOfAllKinds) {
  Pool pool(2);
  EXPECT_THAT(pool.map(twice, std::array{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice, std::deque{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice, std::list{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice, std::forward_list{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice, std::set{2, 1}), ElementsAre(2, 4));
  const int array[] = {1, 2};
  EXPECT_THAT(pool.map(twice, array), ElementsAre(2, 4));
}

#if BULKHEAD_TEST_VIEWS

TEST_F(SourceTest, ViewsOfAllKinds) {
  Pool pool(2);
  const std::vector xs{1, 2, 3, 4};
  const auto odd = [](int x) { return x % 2 != 0; };
  EXPECT_THAT(pool.map(twice, std::views::iota(0, 3)), ElementsAre(0, 2, 4));
  EXPECT_THAT(pool.map(twice, std::views::iota(3, 3)), IsEmpty());
  const std::map<std::string, int> map{{"a", 1}, {"b", 2}};
  EXPECT_THAT(pool.map(twice, map | std::views::values), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice, xs | std::views::transform(twice)), ElementsAre(4, 8, 12, 16));
  EXPECT_THAT(pool.map(twice, xs | std::views::filter(odd)), ElementsAre(2, 6));
  EXPECT_THAT(pool.map(twice, xs | std::views::reverse | std::views::take(2)), ElementsAre(8, 6));
  EXPECT_THAT(pool.map(twice, std::views::single(4)), ElementsAre(8));
  EXPECT_THAT(
      pool.map(twice, std::views::iota(5) | std::views::take_while([](int x) { return x < 8; })),
      ElementsAre(10, 12, 14));
}

// The elements of a transformed range are computed by the caller's code: each exactly once.
TEST_F(SourceTest, AComputedElementIsComputedOnce) {
  Pool pool(3);
  std::vector<int> computed(500);
  const auto compute = [&computed](int x) {
    ++computed[static_cast<std::size_t>(x)];
    return x;
  };
  const auto task = [](int x) {
    if (x % 50 == 7) ::_exit(1);
  };
  const auto outcomes =
      pool.try_map(task, std::views::iota(0, 500) | std::views::transform(compute));
  EXPECT_THAT(outcomes, SizeIs(500));
  EXPECT_THAT(computed, Each(1));
}

// Row 16: an endless source is drawn on only as far as it is needed.
TEST_F(SourceTest, AnEndlessRangeEndsWithTheFirstFailure) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x == 1000) throw std::length_error("far enough");
    return x;
  };
  try {
    pool.map(task, std::views::iota(0));
    ADD_FAILURE() << "an endless call came to its end";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().task(), 1000U);
  }
}

TEST_F(SourceTest, AStreamIsReadOnce) {
  Pool pool(2);
  std::string text;
  for (int x = 0; x < 1000; ++x) text += std::to_string(x) + ' ';
  std::istringstream stream(text);
  const std::vector<int> results = pool.map(twice, std::ranges::istream_view<int>(stream));
  ASSERT_THAT(results, SizeIs(1000));
  for (int x = 0; x < 1000; ++x) EXPECT_EQ(results[static_cast<std::size_t>(x)], 2 * x);
}

TEST_F(SourceTest, AStreamedElementThatIsHeldByADeadWorkerIsNotLost) {
  Pool pool(2);
  std::string text;
  for (int x = 0; x < 1000; ++x) text += std::to_string(x) + ' ';
  std::istringstream stream(text);
  const auto task = [](int x) {
    if (x % 100 == 50) ::_exit(1);
    return x;
  };
  const auto outcomes = pool.try_map(task, std::ranges::istream_view<int>(stream));
  ASSERT_THAT(outcomes, SizeIs(1000));
  for (int x = 0; x < 1000; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    EXPECT_EQ(outcome.value_or(-1), x % 100 == 50 ? -1 : x);
  }
}

/// Of this process so far, in bytes.
std::size_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

// Row 187: million. Neither for elements that are drawn nor for those that are counted; one of them
// is held up until nearly all others are done.
TEST_F(SourceTest, MemoryDoesNotGrowWithTheNumberOfElements) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers keep what was freed";
  static constexpr int kMany = 1'000'000;
  test::in_fork([] {
    state.reset();
    Pool pool(Options{.workers = 2, .ring_bytes = 65'536});
    const auto task = [](int x) {
      if (x == 7 && !state->done.reaches(kMany / 2)) throw std::logic_error("the others wait");
      state->done.add();
    };
    const auto compute = std::views::transform([](int x) { return x; });
    pool.map([](int) {}, std::views::iota(0, 10'000) | compute);
    const std::size_t before = peak_memory();
    pool.map(task, std::views::iota(0, kMany) | compute);
    pool.map([](int) {}, std::views::iota(0, kMany));
    EXPECT_LT(peak_memory() - before, std::size_t{4} << 20);
  });
}

#endif  // BULKHEAD_TEST_VIEWS

TEST_F(SourceTest, ElementsOfAMap) {
  Pool pool(2);
  const std::map<std::string, int> ages{{"Ann", 33}, {"Bob", 44}};
  const auto describe = [](const std::pair<const std::string, int>& element) {
    return element.first + " " + std::to_string(element.second);
  };
  EXPECT_THAT(pool.map(describe, ages), ElementsAre("Ann 33", "Bob 44"));
  const auto first = [](const std::string& name, int) { return name; };
  EXPECT_THAT(pool.starmap(first, ages), ElementsAre("Ann", "Bob"));
}

/// Throws in place of its element number `good`.
class Faulty {
 public:
  class Iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(int good) : good_(good) {}
    int operator*() const {
      if (at_ >= good_) throw std::domain_error("the source is dry");
      return at_;
    }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    void operator++(int) { ++at_; }
    bool operator==(std::default_sentinel_t) const { return at_ == 100; }

   private:
    int good_;
    int at_ = 0;
  };

  explicit Faulty(int good) : good_(good) {}
  [[nodiscard]] Iterator begin() const { return Iterator(good_); }
  [[nodiscard]] static std::default_sentinel_t end() { return {}; }

 private:
  int good_;
};

// Rows 17 and 18: what the source throws comes through as it is, and the pool goes on.
TEST_F(SourceTest, AnExceptionOfTheRangeComesThroughUnchanged) {
  Pool pool(2);
  for (const int good : {0, 1, 50, 99, 0}) {
    const Faulty faulty(good);
    try {
      pool.map(twice, faulty);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::domain_error& error) {
      EXPECT_STREQ(error.what(), "the source is dry");
      EXPECT_EQ(dynamic_cast<const RemoteError*>(&error), nullptr) << "no task has failed";
    }
    EXPECT_THROW((void)pool.try_map(twice, faulty), std::domain_error);
    EXPECT_EQ(pool.apply(twice, 4), 8);
  }
}

TEST_F(SourceTest, AnExceptionOfTheRangeOutweighsFailedTasks) {
  Pool pool(2);
  const auto fail = [](int) { throw std::out_of_range("task"); };
  EXPECT_THROW((void)pool.try_map(fail, Faulty(50)), std::domain_error);
}

// Row 20: sized-source-lies.
struct Liar {
  std::list<int> xs;
  [[nodiscard]] std::size_t size() const { return 1'000; }
  [[nodiscard]] auto begin() const { return xs.begin(); }
  [[nodiscard]] auto end() const { return xs.end(); }
};

TEST_F(SourceTest, ARangeThatMisstatesItsSizeGivesTheElementsItHas) {
  Pool pool(2);
  EXPECT_THAT(pool.map([](int x) { return std::to_string(x); }, Liar{{1, 2, 3}}),
              ElementsAre("1", "2", "3"));
  EXPECT_THAT(pool.map(twice, Liar{{1, 2, 3}}), ElementsAre(2, 4, 6));
  EXPECT_THAT(pool.try_map(twice, Liar{{1}}), SizeIs(1));
}

}  // namespace
}  // namespace bulkhead
