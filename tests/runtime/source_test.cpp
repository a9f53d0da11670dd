// SPDX-License-Identifier: MIT
#include "tests/support/numbers.hpp"
#include <bulkhead/detail/source.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <functional>
#include <iterator>
#include <limits>
#include <list>
#include <malloc.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

static_assert(kIndexed<std::vector<int>&> && kIndexed<const std::vector<int>&>);
static_assert(kIndexed<std::vector<int>> && kIndexed<std::array<int, 3>&>);
static_assert(kIndexed<std::span<const int>>);
static_assert(!kIndexed<std::vector<bool>&> && !kIndexed<std::list<int>&>);
static_assert(!kIndexed<std::map<int, int>&>);

template <class Range>
Source<Range> source_of(Range&& range) {
  return Source<Range>(std::forward<Range>(range));
}

/// Draws everything that `source` has, a few elements at a time.
template <class Range>
std::vector<std::ranges::range_value_t<Range>> drawn(Source<Range>& source) {
  for (std::uint64_t wanted = 1; !source.ended(); wanted += 3) source.draw(wanted);
  std::vector<std::ranges::range_value_t<Range>> result;
  for (std::uint64_t i = 0; i < source.known(); ++i) result.push_back(source[i]);
  return result;
}

/// A range of one pass, whose iterators only move. Does what it is told at each step.
template <class T>
class OnePass {
 public:
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(const OnePass& range) : range_(&range) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;
    T operator*() const { return range_->element(at_); }
    Iterator& operator++() {
      range_->leave(at_++);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at_ == range_->size; }

   private:
    const OnePass* range_;
    int at_ = 0;
  };

  OnePass(int a_size, std::function<T(int)> an_element)
      : size(a_size), element(std::move(an_element)) {}

  Iterator begin() const {
    enter();
    return Iterator(*this);
  }
  static std::default_sentinel_t end() { return {}; }

  int size;
  std::function<T(int)> element;
  std::function<void()> enter = [] {};
  std::function<void(int)> leave = [](int) {};
};

constexpr int kEndless = std::numeric_limits<int>::max();

OnePass<int> counting_to(int size) {
  return {size, [](int i) { return i; }};
}

auto throw_at(int where) {
  return [where](int i) {
    if (i == where) throw std::runtime_error("element " + std::to_string(i));
    return i;
  };
}

// -------------------------------------------------------------------------------------------------
// Indexed

TEST(Source, OfAVectorIsItsElementsInPlace) {
  const std::vector<std::string> words{"a", "b"};
  const auto source = source_of(words);
  EXPECT_EQ(&source[0], &words[0]);
  EXPECT_EQ(&source[1], &words[1]);
}

TEST(Source, OfAVectorIsKnownAtOnce) {
  const std::vector<int> numbers{1, 2, 3};
  auto source = source_of(numbers);
  EXPECT_EQ(source.size(), 3U);
  EXPECT_EQ(source.known(), 3U);
  EXPECT_TRUE(source.ended());
}

TEST(Source, OfAVectorCanBeReadAgainAfterItWasForgotten) {
  const std::vector<int> numbers{1, 2, 3};
  auto source = source_of(numbers);
  source.draw(2);
  source.forget(1);
  EXPECT_EQ(source[1], 2);
}

TEST(Source, OfAVectorTakesElementsThatOnlyMove) {
  std::vector<std::unique_ptr<int>> numbers;
  numbers.push_back(std::make_unique<int>(5));
  const auto source = source_of(numbers);
  EXPECT_EQ(source[0].get(), numbers[0].get());
}

TEST(Source, KeepsATemporaryContainer) {
  const auto source = source_of(std::vector<std::string>{"a", std::string(100, 'b')});
  EXPECT_EQ(source[1], std::string(100, 'b'));
}

TEST(Source, OfAnEmptyVectorHasEnded) {
  const std::vector<int> none;
  auto source = source_of(none);
  EXPECT_TRUE(source.ended());
  EXPECT_EQ(source.known(), 0U);
}

// -------------------------------------------------------------------------------------------------
// Drawn

TEST(Source, DrawsNoMoreThanItIsAskedFor) {
  int calls = 0;
  auto source = source_of(OnePass<int>(5, [&calls](int i) {
    ++calls;
    return 10 * i;
  }));
  EXPECT_EQ(source.size(), std::nullopt);
  EXPECT_EQ(calls, 0);
  source.draw(2);
  EXPECT_EQ(source.known(), 2U);
  EXPECT_FALSE(source.ended());
  EXPECT_EQ(source[0], 0);
  EXPECT_EQ(source[1], 10);
  source.draw(1);
  EXPECT_EQ(source.known(), 2U);
  EXPECT_EQ(calls, 2);
}

TEST(Source, EndsWhereTheRangeEnds) {
  auto source = source_of(counting_to(3));
  source.draw(3);
  EXPECT_EQ(source.known(), 3U);
  source.draw(4);
  EXPECT_TRUE(source.ended());
  EXPECT_EQ(source.known(), 3U);
}

TEST(Source, DrawsFromEveryKindOfRange) {
  std::list<int> list{1, 2, 3};
  auto of_list = source_of(list);
  EXPECT_EQ(of_list.size(), 3U);
  EXPECT_EQ(drawn(of_list), (std::vector<int>{1, 2, 3}));

  std::forward_list<int> forward{1, 2};
  auto of_forward = source_of(forward);
  EXPECT_EQ(of_forward.size(), std::nullopt);
  EXPECT_EQ(drawn(of_forward), (std::vector<int>{1, 2}));

  const std::set<int> set{2, 1};
  auto of_set = source_of(set);
  EXPECT_EQ(drawn(of_set), (std::vector<int>{1, 2}));
}

TEST(Source, DrawsFromAVectorOfBool) {
  std::vector<bool> bits(70);
  bits[3] = bits[69] = true;
  auto source = source_of(bits);
  EXPECT_EQ(source.size(), 70U);
  EXPECT_EQ(drawn(source), bits);
}

TEST(Source, DrawsFromAnEmptyRange) {
  auto source = source_of(std::list<int>());
  source.draw(5);
  EXPECT_TRUE(source.ended());
  EXPECT_EQ(source.known(), 0U);
}

TEST(Source, DrawsFromAnEndlessRange) {
  auto source = source_of(counting_to(kEndless));
  source.draw(1000);
  EXPECT_EQ(source.known(), 1000U);
  EXPECT_FALSE(source.ended());
  EXPECT_EQ(source[999], 999);
}

TEST(Source, DrawsElementsThatOnlyMove) {
  auto source =
      source_of(OnePass<std::unique_ptr<int>>(3, [](int i) { return std::make_unique<int>(i); }));
  source.draw(10);
  ASSERT_EQ(source.known(), 3U);
  EXPECT_EQ(*source[0], 0);
  EXPECT_EQ(*source[2], 2);
}

TEST(Source, LeavesElementsWhereTheyAreIfTheyStayThere) {
  std::list<std::unique_ptr<int>> numbers;
  numbers.push_back(std::make_unique<int>(5));
  auto source = source_of(numbers);
  source.draw(1);
  EXPECT_EQ(&source[0], &numbers.front());
  source.forget(0);
  EXPECT_EQ(*numbers.front(), 5);
}

// -------------------------------------------------------------------------------------------------
// Forgetting

TEST(Source, ForgetsInAnyOrderAndKeepsTheOthers) {
  auto source = source_of(counting_to(kEndless));
  source.draw(5);
  source.forget(3);
  source.forget(0);
  EXPECT_EQ(source[1], 1);
  EXPECT_EQ(source[2], 2);
  EXPECT_EQ(source[4], 4);
  source.forget(1);
  source.forget(2);
  EXPECT_EQ(source[4], 4);
  source.draw(6);
  EXPECT_EQ(source[5], 5);
}

TEST(Source, GivesForgottenElementsBackAtOnce) {
  const std::array numbers{std::make_shared<int>(1), std::make_shared<int>(2)};
  auto source = source_of(OnePass<std::shared_ptr<int>>(
      2, [&numbers](int i) { return numbers.at(static_cast<std::size_t>(i)); }));
  source.draw(2);
  EXPECT_EQ(numbers.back().use_count(), 2);
  source.forget(1);
  EXPECT_EQ(numbers.back().use_count(), 1);
  EXPECT_EQ(numbers.front().use_count(), 2);
}

TEST(Source, KeepsEachElementInItsPlaceUntilItIsForgotten) {
  auto source = source_of(counting_to(kEndless));
  source.draw(1);
  const int* const first = &source[0];
  source.draw(10'000);
  for (std::uint64_t i = 1; i < 9'000; ++i) source.forget(i);
  EXPECT_EQ(&source[0], first);
  EXPECT_EQ(*first, 0);
}

TEST(Source, KeepsNothingOfWhatWasForgottenBehindAStraggler) {
  using Page = std::array<char, 4096>;
  auto source = source_of(OnePass<Page>(kEndless, [](int) { return Page{}; }));
  const auto in_use = [] {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  source.draw(1);
  const auto before = in_use();
  for (std::uint64_t i = 1; i < 10'000; ++i) {
    source.draw(i + 1);
    source.forget(i);
  }
  EXPECT_LT(in_use(), before + 100 * sizeof(Page));
}

TEST(Source, ForgetsAWindowThatMovesOverALongRange) {
  constexpr int kSize = 20'000;
  std::mt19937 random(8);
  auto source = source_of(counting_to(kSize));
  std::vector<std::uint64_t> out;
  std::uint64_t next = 0;
  while (!source.ended() || !out.empty()) {
    source.draw(next + random() % 20);
    while (next < source.known()) out.push_back(next++);
    if (out.empty()) continue;
    const std::size_t which = random() % out.size();
    ASSERT_EQ(source[out[which]], static_cast<int>(out[which]));
    source.forget(out[which]);
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(which));
  }
  EXPECT_EQ(next, kSize);
}

// -------------------------------------------------------------------------------------------------
// Ranges that throw

TEST(Source, ThrowsWhatTheFirstElementThrows) {
  auto source = source_of(OnePass<int>(5, throw_at(0)));
  EXPECT_THROW(source.draw(1), std::runtime_error);
  EXPECT_EQ(source.known(), 0U);
}

TEST(Source, KeepsWhatItHasWhenALaterElementThrows) {
  auto source = source_of(OnePass<int>(5, throw_at(3)));
  EXPECT_THROW(source.draw(5), std::runtime_error);
  EXPECT_EQ(source.known(), 3U);
  EXPECT_FALSE(source.ended());
  EXPECT_EQ(source[2], 2);
  source.forget(0);
  EXPECT_EQ(source[1], 1);
}

TEST(Source, ThrowsWhatTheBeginningOfARangeThrows) {
  OnePass<int> range = counting_to(5);
  range.enter = [] { throw std::runtime_error("no beginning"); };
  auto source = source_of(range);
  EXPECT_THROW(source.draw(1), std::runtime_error);
  EXPECT_EQ(source.known(), 0U);
}

TEST(Source, KeepsTheElementAfterWhichTheRangeThrows) {
  OnePass<int> range = counting_to(5);
  range.leave = throw_at(2);
  auto source = source_of(range);
  EXPECT_THROW(source.draw(5), std::runtime_error);
  EXPECT_EQ(source.known(), 3U);
  EXPECT_EQ(source[2], 2);
}

// -------------------------------------------------------------------------------------------------
// Views

#if BULKHEAD_TEST_VIEWS

static_assert(kIndexed<std::ranges::iota_view<int, int>> && !kIndexed<std::ranges::iota_view<int>>);
static_assert(!kIndexed<std::ranges::istream_view<int>>);

TEST(Source, OfAnIotaIsCountedWithoutBeingDrawn) {
  auto source = source_of(std::views::iota(10, 1'000'000'000));
  EXPECT_EQ(source.size(), 999'999'990U);
  EXPECT_EQ(source[999'999'989], 999'999'999);
}

TEST(Source, RunsTheFunctionOfATransformOnceForEachElement) {
  const std::vector<int> numbers{1, 2, 3};
  std::vector<int> calls(4);
  auto source = source_of(numbers | std::views::transform([&calls](int i) {
                            ++calls[static_cast<std::size_t>(i)];
                            return 10 * i;
                          }));
  EXPECT_EQ(source.size(), 3U);
  source.draw(2);
  EXPECT_EQ(calls, (std::vector<int>{0, 1, 1, 0}));
  source.draw(3);
  for (int again = 0; again < 2; ++again) EXPECT_EQ(source[2], 30);
  EXPECT_EQ(calls, (std::vector<int>{0, 1, 1, 1}));
}

TEST(Source, RunsTheFunctionOfATransformOnceEvenIfItGivesReferences) {
  std::vector<int> numbers{1, 2, 3};
  int calls = 0;
  auto source = source_of(numbers | std::views::transform([&calls](int& i) -> int& {
                            ++calls;
                            return i;
                          }));
  source.draw(3);
  for (int again = 0; again < 4; ++again) EXPECT_EQ(source[2], 3);
  EXPECT_LE(calls, 3);
}

#endif

}  // namespace
}  // namespace bulkhead::detail
