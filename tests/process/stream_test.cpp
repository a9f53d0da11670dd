// SPDX-License-Identifier: MIT
//
// imap and the like: the order of results, how far ahead elements are drawn, what fails where, and
// the ends of streams, ranges and pools.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

struct State {
  test::Tally begun;
  test::Tally gate;
};
const test::Shared<State> state;

class StreamTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

constexpr int kEndless = std::numeric_limits<int>::max();

/// A range without any precautions that says how many elements were asked for: 0, 1, ... Throws
/// when it comes to element `thrown`.
class Counted {
 public:
  struct Iterator {
    using iterator_concept = std::input_iterator_tag;
    using value_type = int;
    using difference_type = std::ptrdiff_t;

    int operator*() const { return range->next_ - 1; }
    Iterator& operator++() {
      range->draw();
      return *this;
    }
    void operator++(int) { range->draw(); }
    bool operator==(std::default_sentinel_t) const { return range->next_ > range->count_; }

    Counted* range = nullptr;
  };

  explicit Counted(int count, int thrown = -1) : count_(count), thrown_(thrown) {}
  Iterator begin() {
    draw();
    return {this};
  }
  static std::default_sentinel_t end() { return {}; }
  [[nodiscard]] int drawn() const { return next_; }

 private:
  void draw() {
    if (next_ == thrown_) throw std::range_error("no element " + std::to_string(thrown_));
    ++next_;
  }

  int count_;
  int thrown_;
  int next_ = 0;
};

int square(int x) {
  return x * x;
}
int same(int x) {
  return x;
}
int first_at_gate(int x) {
  state->begun.add();
  if (x == 0) {
    EXPECT_TRUE(state->gate.reaches(1));
  }
  return x;
}
int throws_at_3(int x) {
  if (x == 3) throw std::out_of_range("three");
  return x;
}

template <class R>
std::vector<R> rest_of(ResultStream<R>& stream) {
  std::vector<R> results;
  while (auto result = stream.next()) results.push_back(std::move(*result));
  return results;
}

/// Reads to the end; all that fails must have been cancelled. How often it was.
int cancellations_of(ResultStream<int>& stream) {
  int cancelled = 0;
  for (bool more = true; more;) {
    try {
      more = stream.next().has_value();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.failure().kind(), FailureKind::cancelled);
      ++cancelled;
    }
  }
  return cancelled;
}

std::vector<int> squares(int count) {
  std::vector<int> all = numbers(0, count);
  for (int& x : all) x *= x;
  return all;
}

// ---------------------------------------------------------------------------------------------------
// Results and their order

TEST_F(StreamTest, GivesTheResultsOfAllElementsInOrder) {
  Pool pool(2);
  const std::vector<int> elements = numbers(0, 40000);
  auto stream = pool.imap(square, elements);
  EXPECT_EQ(rest_of(stream), squares(40000));
  EXPECT_EQ(stream.next(), std::nullopt);
  EXPECT_EQ(stream.next(), std::nullopt);
}

TEST_F(StreamTest, IsARange) {
  Pool pool(2);
  std::vector<int> results;
  for (int result : pool.imap(square, Counted(5))) results.push_back(result);
  EXPECT_THAT(results, ElementsAre(0, 1, 4, 9, 16));
  results.clear();
  for (Outcome<int>& outcome : pool.try_imap(square, {1, 2})) results.push_back(outcome.value());
  EXPECT_THAT(results, ElementsAre(1, 4));
  static_assert(std::ranges::input_range<ResultStream<int>>);
  EXPECT_EQ(std::ranges::distance(pool.imap(square, Counted(0))), 0);
}

TEST_F(StreamTest, TakesElementsAndResultsOfAllKinds) {
  Pool pool(2);
  const auto lengths = [](const std::string& text) { return std::vector<int>(text.size(), 1); };
  const std::vector<std::string> texts{"", "a", std::string(3000000, 'x'), "bb"};
  std::vector<std::size_t> sizes;
  for (const auto& result : pool.imap(lengths, texts)) sizes.push_back(result.size());
  EXPECT_THAT(sizes, ElementsAre(0, 1, 3000000, 2));
  const std::vector<bool> bits{true, false};
  auto of_bits = pool.imap([](bool bit) { return !bit; }, bits);
  EXPECT_EQ(of_bits.next(), false);
  EXPECT_EQ(of_bits.next(), true);
  auto of_nothing = pool.imap([](int) { state->begun.add(); }, {1, 2});
  EXPECT_TRUE(of_nothing.next());
  EXPECT_TRUE(of_nothing.next());
  EXPECT_FALSE(of_nothing.next());
  EXPECT_EQ(state->begun.value(), 2U);
  auto of_pointers = pool.imap([](int x) { return std::make_unique<int>(x); }, {7});
  EXPECT_EQ(*of_pointers.next().value(), 7);
}

// Row 12: ordered-despite-skew.
TEST_F(StreamTest, LaterResultsAreHeldForASlowFirstOne) {
  Pool pool(2);
  auto stream = pool.imap(first_at_gate, Counted(1000));
  EXPECT_THROW(stream.next(0s), NotReady);
  while (state->begun.value() < 1000) EXPECT_THROW(stream.next(1ms), NotReady);
  state->gate.add();
  EXPECT_EQ(rest_of(stream), numbers(0, 1000));
}

// Row 13: unordered-fastest-first.
TEST_F(StreamTest, UnorderedGivesWhatIsThere) {
  Pool pool(2);
  auto stream = pool.imap_unordered(first_at_gate, Counted(10));
  std::vector<int> results;
  std::vector<std::uint64_t> indices;
  for (int i = 0; i < 9; ++i) {
    results.push_back(stream.next().value());
    indices.push_back(stream.index());
  }
  EXPECT_THAT(results, UnorderedElementsAreArray(numbers(1, 10)));
  EXPECT_THAT(indices, ElementsAreArray(results));
  state->gate.add();
  EXPECT_EQ(stream.next(), 0);
  EXPECT_EQ(stream.index(), 0U);
  EXPECT_EQ(stream.next(), std::nullopt);
}

TEST_F(StreamTest, UnorderedLosesNothing) {
  Pool pool(2);
  auto stream = pool.try_imap_unordered(throws_at_3, Counted(20000));
  std::vector<int> results;
  while (auto outcome = stream.next()) {
    results.push_back(*outcome ? outcome->value() : -1);
    EXPECT_EQ(outcome->has_value(), stream.index() != 3);
  }
  std::vector<int> expected = numbers(0, 20000);
  expected[3] = -1;
  EXPECT_THAT(results.size(), expected.size());
  std::ranges::sort(results);
  std::ranges::sort(expected);
  EXPECT_EQ(results, expected);
}

// Row 14: imap-next-timeout.
// Row 57: timeout-map-iter.
TEST_F(StreamTest, ATimeoutOfNextSkipsNothing) {
  Pool pool(2);
  auto stream = pool.imap(
      [](int x) {
        if (x == 2) {
          EXPECT_TRUE(state->gate.reaches(1));
        }
        return x;
      },
      {0, 1, 2, 3});
  EXPECT_EQ(stream.next(1min), 0);
  EXPECT_EQ(stream.next(1min), 1);
  try {
    static_cast<void>(stream.next(20ms));
    ADD_FAILURE() << "it did not wait for the task";
  } catch (const NotReady& error) {
    EXPECT_THAT(error.what(), HasSubstr("20 ms"));
  }
  EXPECT_THROW(static_cast<void>(stream.next(0s)), NotReady);
  state->gate.add();
  EXPECT_EQ(stream.next(1min), 2);
  EXPECT_EQ(stream.next(), 3);
}

// Row 22: two-iterators.
TEST_F(StreamTest, TwoStreamsOfOnePoolEachHaveTheirOwnResults) {
  Pool pool(2);
  auto ones = pool.imap(same, Counted(3000));
  auto squares = pool.imap(square, Counted(3000));
  for (int x = 0; x < 3000; ++x) {
    ASSERT_EQ(ones.next(), x);
    ASSERT_EQ(squares.next(), x * x);
    if (x % 1000 == 0) {
      ASSERT_THAT(pool.map(square, {3}), ElementsAre(9));
    }
  }
  EXPECT_EQ(ones.next(), std::nullopt);
  EXPECT_EQ(squares.next(), std::nullopt);
}

// ---------------------------------------------------------------------------------------------------
// How far ahead

// Row 15: lazy-bounded.
TEST_F(StreamTest, DrawsNoFurtherAheadThanItMay) {
  Pool pool(2);
  for (const int most : {1, 2, 3, 10, 1000}) {
    Counted range(300000);
    auto stream = pool.imap(same, range, {.buffersize = static_cast<std::size_t>(most)});
    for (int x = 0; x < 1000; ++x) {
      ASSERT_EQ(stream.next(), x);
      ASSERT_LE(range.drawn(), x + 1 + most);
    }
  }
}

// Row 15: lazy-bounded.
TEST_F(StreamTest, DrawsNoFurtherThanTheWorkersCanDoWith) {
  Pool pool(2);
  Counted range(300000);
  auto stream = pool.imap(
      [](int x) {
        test::work_for(25ms);
        return x;
      },
      range);
  for (int x = 0; x < 10; ++x) ASSERT_EQ(stream.next(), x);
  EXPECT_LE(range.drawn(), 10 + 3 * pool.workers());
}

// Row 24: chunk-sizes. There are no chunks: what there is to choose changes no result.
TEST_F(StreamTest, ResultsAreTheSameWhateverTheBuffer) {
  Pool pool(3);
  for (const std::size_t most : {1U, 6U, 40U, 50U}) {
    auto in_order = pool.imap(square, numbers(0, 40), {.buffersize = most});
    EXPECT_EQ(rest_of(in_order), squares(40));
    auto as_they_come = pool.imap_unordered(square, numbers(0, 40), {.buffersize = most});
    EXPECT_THAT(rest_of(as_they_come), UnorderedElementsAreArray(squares(40)));
  }
}

// Row 26: chunk-x-window. The buffer against the number of workers.
TEST_F(StreamTest, ResultsAreTheSameWhateverTheBufferAndHoweverManyWorkers) {
  Pool pool(1);
  for (const int workers : {1, 2, 9, 10, 11}) {
    pool.resize(workers);
    for (const std::size_t most : {1U, 2U, 9U, 10U, 11U}) {
      auto stream = pool.imap(square, numbers(0, 10), {.buffersize = most});
      EXPECT_EQ(rest_of(stream), squares(10)) << workers << " workers, a buffer of " << most;
    }
  }
}

// Row 27: chunk-auto. Thousands of fast tasks go out at a time, and then slow ones one by one: each
// pair of those ends only if both run at once.
TEST_F(StreamTest, FastTasksAndThenSlowOnesGoOutAsSuitsThem) {
  state.reset();
  constexpr int kFast = 5000;
  constexpr int kSlow = 10;
  const auto task = [](int x) {
    if (x < kFast) return x;
    state->begun.add();
    const auto pair = static_cast<std::uint32_t>((x - kFast) / 2);
    return state->begun.reaches(2 * pair + 2) ? x : -1;
  };
  Pool pool(2);
  auto stream = pool.imap(task, numbers(0, kFast + kSlow));
  EXPECT_EQ(rest_of(stream), numbers(0, kFast + kSlow));
  state.reset();
  EXPECT_EQ(pool.map(task, numbers(0, kFast + kSlow)), numbers(0, kFast + kSlow));
}

// What is encoded in advance does not grow with how long the reader is away, nor what is answered.
TEST_F(StreamTest, AReaderWhoPausesStopsTheRange) {
  Pool pool(2);
  Counted range(1'000'000);
  auto stream = pool.imap_unordered(same, range, {.buffersize = 100});
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(stream.next());
    const int drawn = range.drawn();
    // Other calls drive the pool meanwhile, also for the stream.
    EXPECT_EQ(pool.map(same, numbers(0, 1000)), numbers(0, 1000));
    EXPECT_EQ(range.drawn(), drawn);
    EXPECT_LE(drawn, 50 * (round + 1) + 100);
  }
}

// Row 19: source-not-threadsafe.
TEST_F(StreamTest, EachElementIsDrawnOnceHoweverManyWorkersThereAre) {
  Pool pool(12);
  for (const int count : {2, 11, 12, 13, 100, 517}) {
    for (const std::size_t most : {12U, 24U, 1000U}) {
      Counted range(count);
      auto stream = pool.imap_unordered(same, range, {.buffersize = most});
      EXPECT_THAT(rest_of(stream), UnorderedElementsAreArray(numbers(0, count)));
      EXPECT_EQ(range.drawn(), count + 1);
    }
  }
}

// Row 16: infinite-source.
TEST_F(StreamTest, AnEndlessRangeIsDrawnOnlyWhileItIsRead) {
  Pool pool(2);
  Counted range(kEndless);
  std::optional stream(pool.imap(same, range));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(stream->next(), x);
  stream.reset();
  const int drawn = range.drawn();
  EXPECT_LE(drawn, 10 + 16384);
  EXPECT_THAT(pool.map(square, {5}), ElementsAre(25));
  EXPECT_EQ(range.drawn(), drawn);
}

TEST_F(StreamTest, ARangeMayDependOnWhatHasBeenRead) {
  Pool pool(2);
  std::vector<int> todo{1};
  struct WorkList {
    struct Iterator {
      using iterator_concept = std::input_iterator_tag;
      using value_type = int;
      using difference_type = std::ptrdiff_t;
      int operator*() const { return list->back(); }
      Iterator& operator++() { return *this; }
      void operator++(int) {}
      bool operator==(std::default_sentinel_t) const { return list->empty(); }
      std::vector<int>* list = nullptr;
    };
    Iterator begin() { return {list}; }
    static std::default_sentinel_t end() { return {}; }
    std::vector<int>* list;
  };
  std::vector<int> results;
  for (int x : pool.imap([](int x) { return 2 * x; }, WorkList{&todo}, {.buffersize = 1})) {
    results.push_back(x);
    if (x < 100) {
      todo.back() = x;
    } else {
      todo.clear();
    }
  }
  EXPECT_THAT(results, ElementsAre(2, 4, 8, 16, 32, 64, 128));
}

TEST_F(StreamTest, ResultsThatNobodyReadsTakeBoundedMemory) {
  Pool pool(2);
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  // The first result is held back, so none of the others can be read.
  auto stream = pool.imap(
      [](int x) {
        state->begun.add();
        if (x == 0) {
          EXPECT_TRUE(state->gate.reaches(1));
        }
        return std::vector<char>(x % 2 == 0 ? 1 : 4 * kMiB);
      },
      Counted(1000));
  EXPECT_THROW(static_cast<void>(stream.next(1s)), NotReady);
  // 64 MiB in results of 2 MiB on average; and what the workers were at.
  EXPECT_LE(state->begun.value(), 32U + 16U);
  state->gate.add();
  for (std::size_t x = 0; x < 1000; ++x) {
    ASSERT_EQ(stream.next().value().size(), x % 2 == 0 ? 1 : 4 * kMiB);
  }
  EXPECT_EQ(stream.next(), std::nullopt);
}

#if BULKHEAD_TEST_VIEWS
TEST_F(StreamTest, ElementsThatNobodyTakesTakeBoundedMemory) {
  Pool pool(1);
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  std::vector<std::vector<char>> elements(200, std::vector<char>(kMiB));
  int drawn = 0;
  const auto count = [&drawn](const std::vector<char>& element) -> const std::vector<char>& {
    ++drawn;
    return element;
  };
  auto stream = pool.imap(
      [](const std::vector<char>& element) {
        EXPECT_TRUE(state->gate.reaches(1));
        return element.size();
      },
      elements | std::views::transform(count));
  EXPECT_THROW(static_cast<void>(stream.next(100ms)), NotReady);
  EXPECT_LE(drawn, 5);
  state->gate.add();
  EXPECT_THAT(rest_of(stream), testing::Each(kMiB));
  EXPECT_EQ(drawn, 200);
}
#endif

// ---------------------------------------------------------------------------------------------------
// Failures

TEST_F(StreamTest, GoesOnBehindAFailedElement) {
  Pool pool(2);
  auto stream = pool.imap(throws_at_3, Counted(6));
  for (int x = 0; x < 3; ++x) EXPECT_EQ(stream.next(), x);
  EXPECT_THROW(static_cast<void>(stream.next()), std::out_of_range);
  EXPECT_EQ(stream.index(), 3U);
  EXPECT_THAT(rest_of(stream), ElementsAre(4, 5));
}

TEST_F(StreamTest, AnIteratorThrowsWhereItIsReadAndGoesOn) {
  Pool pool(2);
  auto stream = pool.imap(throws_at_3, Counted(5));
  std::vector<int> results;
  int failures = 0;
  for (auto it = stream.begin(); it != stream.end(); ++it) {
    try {
      results.push_back(*it);
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.failure().task(), 3U);
      ++failures;
    }
  }
  EXPECT_THAT(results, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(failures, 1);
}

TEST_F(StreamTest, CrashesCostTheirElements) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x % 100 == 99) test::segfaults(x);
    return x;
  };
  auto stream = pool.try_imap(task, Counted(500));
  for (int x = 0; x < 500; ++x) {
    auto outcome = stream.next();
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome->has_value(), x % 100 != 99) << x;
    if (outcome->has_value()) {
      ASSERT_EQ(outcome->value(), x);
    } else {
      ASSERT_EQ(outcome->failure().kind(), FailureKind::crashed);
    }
  }
  EXPECT_EQ(stream.next(), std::nullopt);
}

TEST_F(StreamTest, TriesAgainWhatItWasToldTo) {
  Pool pool(2);
  const auto task = [](int x) {
    state->begun.add();
    if (x == 5 && this_task::attempt() < 3) test::kills_itself(x);
    return x;
  };
  auto stream = pool.imap(task, Counted(10), {.retries = {.crashes = 2}});
  EXPECT_EQ(rest_of(stream), numbers(0, 10));
}

struct Stubborn {
  int value = 0;
};

}  // namespace

template <>
struct Codec<Stubborn> {
  static void encode(const Stubborn& stubborn, ByteWriter& out) {
    if (stubborn.value == 2) throw std::domain_error("not two");
    out.put(stubborn.value);
  }
  static Stubborn decode(ByteReader& in) { return {in.get<int>()}; }
};

namespace {

TEST_F(StreamTest, AnElementThatCannotBeEncodedFailsInItsPlace) {
  Pool pool(2);
  const std::vector<Stubborn> elements{{0}, {1}, {2}, {3}};
  auto stream = pool.try_imap([](const Stubborn& x) { return x.value; }, elements);
  std::vector<int> results;
  while (auto outcome = stream.next()) {
    results.push_back(outcome->value_or(-1));
    if (!*outcome) {
      EXPECT_THAT(outcome->failure().what(), HasSubstr("not two"));
    }
  }
  EXPECT_THAT(results, ElementsAre(0, 1, -1, 3));
}

// Row 17: source-raises-first.
TEST_F(StreamTest, ARangeThatThrowsAtOnceIsHeard) {
  Pool pool(2);
  for (int i = 0; i < 2; ++i) {
    auto stream = pool.imap(first_at_gate, Counted(10, 0));
    EXPECT_THROW(static_cast<void>(stream.next()), std::range_error);
    EXPECT_EQ(stream.next(), std::nullopt);
  }
  EXPECT_EQ(state->begun.value(), 0U);
  EXPECT_THAT(pool.map(square, {5}), ElementsAre(25));
}

// Row 18: source-raises-mid.
TEST_F(StreamTest, ARangeThatThrowsIsHeardBehindTheResultsBefore) {
  Pool pool(2);
  auto stream = pool.imap(same, Counted(10, 3));
  for (int x = 0; x < 3; ++x) EXPECT_EQ(stream.next(), x);
  try {
    static_cast<void>(stream.next());
    ADD_FAILURE() << "the range has thrown";
  } catch (const std::range_error& error) {
    EXPECT_STREQ(error.what(), "no element 3");
  }
  EXPECT_EQ(stream.next(), std::nullopt);
  EXPECT_THAT(pool.map(square, {5}), ElementsAre(25));
}

// ---------------------------------------------------------------------------------------------------
// Ends

// Row 21: iterator-dropped.
TEST_F(StreamTest, OneThatIsDroppedCancelsTheRest) {
  Pool pool(2);
  {
    auto stream = pool.imap(
        [](int x) {
          state->begun.add();
          if (x >= 2) {
            EXPECT_TRUE(state->gate.reaches(1));
          }
          return std::vector<char>(2000000, static_cast<char>(x));
        },
        Counted(10));
    EXPECT_EQ(stream.next().value().front(), 0);
    EXPECT_EQ(stream.next().value().front(), 1);
  }
  EXPECT_LT(state->begun.value(), 10U);
  EXPECT_THAT(pool.map(square, numbers(0, 10)), ElementsAreArray(squares(10)));
}

TEST_F(StreamTest, OneThatIsReplacedIsDropped) {
  Pool pool(2);
  auto stream = pool.imap(first_at_gate, Counted(10));
  EXPECT_THROW(static_cast<void>(stream.next(1ms)), NotReady);
  stream = pool.imap(square, Counted(3));
  EXPECT_THAT(rest_of(stream), ElementsAre(0, 1, 4));
}

// Row 62: cancel-map.
TEST_F(StreamTest, EachElementOfACancelledStreamSaysSo) {
  Pool pool(1);
  auto stream = pool.imap(
      [](int x) {
        if (x != 0) {
          EXPECT_TRUE(state->gate.reaches(1));
        }
        return x;
      },
      {0, 1, 2, 3, 4});
  EXPECT_EQ(stream.next(), 0);
  stream.cancel();
  EXPECT_EQ(cancellations_of(stream), 4);
  EXPECT_EQ(stream.index(), 4U);
  EXPECT_THAT(pool.map(square, {5}), ElementsAre(25));
}

TEST_F(StreamTest, AStopEndsAnEndlessOne) {
  Pool pool(2);
  std::stop_source stop;
  Counted range(kEndless);
  auto stream = pool.imap(same, range, {.stop = stop.get_token(), .buffersize = 1});
  EXPECT_EQ(stream.next(), 0);
  stop.request_stop();
  EXPECT_GE(cancellations_of(stream), 1);
}

TEST_F(StreamTest, TimeLimitsAreThoseOfTasks) {
  Pool pool(2);
  auto stream = pool.try_imap(first_at_gate, Counted(3), {.timeout = 1s});
  EXPECT_EQ(stream.next()->failure().kind(), FailureKind::timed_out);
  EXPECT_EQ(stream.next()->value(), 1);
  EXPECT_EQ(stream.next()->value(), 2);
  EXPECT_EQ(stream.next(), std::nullopt);
}

// Row 23: iterator-outlives-pool.
TEST_F(StreamTest, OutlivesItsPool) {
  std::optional<Pool> pool(2);
  auto half_read = pool->imap(same, Counted(kEndless));
  auto unread = pool->try_imap(first_at_gate, {0, 1, 2});
  EXPECT_EQ(half_read.next(), 0);
  EXPECT_THROW(static_cast<void>(unread.next(1ms)), NotReady);
  pool.reset();
  const auto read_to_end = [&half_read] {
    while (half_read.next()) {
    }
  };
  EXPECT_THROW(read_to_end(), RemoteError);
  int outcomes = 0;
  while (auto outcome = unread.next()) {
    if (!*outcome) {
      EXPECT_EQ(outcome->failure().kind(), FailureKind::cancelled);
    }
    ++outcomes;
  }
  EXPECT_EQ(outcomes, 3);
}

TEST_F(StreamTest, GoesOnWhenThePoolIsClosed) {
  Pool pool(2);
  auto stream = pool.imap(square, Counted(1000), {.buffersize = 10});
  EXPECT_EQ(stream.next(), 0);
  pool.close();
  EXPECT_THROW(static_cast<void>(pool.imap(square, Counted(1))), PoolClosed);
  EXPECT_THROW(pool.join(), Error);  // of the thread that would have to read it
  EXPECT_EQ(rest_of(stream).size(), 999U);
  pool.join();
}

TEST_F(StreamTest, ThatThisThreadHasNotBegunToReadIsNotWaitedForInVain) {
  Pool pool(2);
  auto stream = pool.imap(square, Counted(40'000), {.buffersize = 10});
  pool.close();
  EXPECT_THROW(pool.join(), Error);
  EXPECT_THROW((void)pool.drain(std::chrono::hours{1}), Error);
  EXPECT_EQ(rest_of(stream).size(), 40'000U);
  pool.join();
}

TEST_F(StreamTest, BelongsToTheProcessThatMadeIt) {
  Pool pool(2);
  auto stream = pool.imap(square, Counted(1000));
  EXPECT_EQ(stream.next(), 0);
  const auto read_on = [&stream] {
    for (int i = 0; i < 1000; ++i) static_cast<void>(stream.next());
  };
  test::in_fork([&read_on] { EXPECT_THROW(read_on(), PoolClosed); });
  EXPECT_EQ(rest_of(stream).size(), 999U);
}

// ---------------------------------------------------------------------------------------------------
// Beside others

TEST_F(StreamTest, ThreadsEachReadOneAndOthersCall) {
  Pool pool(2);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool] {
      auto stream = pool.imap(square, Counted(5000));
      for (int x = 0; x < 5000; ++x) ASSERT_EQ(stream.next(), x * x);
      ASSERT_EQ(stream.next(), std::nullopt);
    });
    threads.emplace_back([&pool] {
      for (int i = 0; i < 50; ++i) {
        ASSERT_THAT(pool.map(square, {1, 2, 3}), ElementsAre(1, 4, 9));
        ASSERT_EQ(pool.apply_async(square, 7).get(), 49);
      }
    });
  }
}

TEST_F(StreamTest, ATerminatedPoolEndsItWhileAnotherThreadReads) {
  Pool pool(2);
  std::jthread ender([&pool] {
    EXPECT_TRUE(state->begun.reaches(1));
    pool.terminate();
  });
  auto stream = pool.try_imap(first_at_gate, Counted(kEndless));
  const auto read_to_end = [&stream] {
    while (stream.next()) {
    }
  };
  EXPECT_THROW(read_to_end(), RemoteError);
}

TEST_F(StreamTest, ItsRangeMayUseThePool) {
  Pool pool(2);
  struct Asking {
    struct Iterator {
      using iterator_concept = std::input_iterator_tag;
      using value_type = int;
      using difference_type = std::ptrdiff_t;
      int operator*() const { return pool->apply(square, at); }
      Iterator& operator++() {
        ++at;
        return *this;
      }
      void operator++(int) { ++at; }
      bool operator==(std::default_sentinel_t) const { return at == 20; }
      Pool* pool = nullptr;
      int at = 0;
    };
    [[nodiscard]] Iterator begin() const { return {pool, 0}; }
    static std::default_sentinel_t end() { return {}; }
    Pool* pool;
  };
  auto stream = pool.imap(same, Asking{&pool});
  EXPECT_EQ(rest_of(stream), squares(20));
}

/// 0, 1, ... below `count`; `step` is called with each when it is drawn.
template <bool kSized>
struct Stepped {
  struct Iterator {
    using iterator_concept = std::input_iterator_tag;
    using value_type = int;
    using difference_type = std::ptrdiff_t;

    int operator*() const {
      range->step(at);
      return at;
    }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++at; }
    bool operator==(std::default_sentinel_t) const { return at == range->count; }

    const Stepped* range = nullptr;
    int at = 0;
  };

  [[nodiscard]] Iterator begin() const { return {this, 0}; }
  static std::default_sentinel_t end() { return {}; }
  [[nodiscard]] std::size_t size() const requires kSized { return static_cast<std::size_t>(count); }

  int count;
  std::function<void(int)> step;
};

TEST_F(StreamTest, WhatIsDrawnWhileThePoolEndsFailsLikeTheRest) {
  Pool pool(2);
  const Stepped<true> range{40, [&](int x) {
                              if (x == 20) pool.terminate();
                            }};
  auto stream = pool.try_imap(same, range);
  for (std::size_t i = 0; i < 40; ++i) {
    const auto outcome = stream.next();
    ASSERT_TRUE(outcome) << i;
    EXPECT_EQ(stream.index(), i);
    if (!*outcome) {
      EXPECT_EQ(outcome->failure().kind(), FailureKind::cancelled);
    }
  }
  EXPECT_FALSE(stream.next());
}

TEST_F(StreamTest, OfAnUnknownNumberOfElementsDoesNotEndAsIfWhole) {
  Pool pool(2);
  const Stepped<false> range{21, [&](int x) {
                               if (x == 20) pool.terminate();
                             }};
  auto stream = pool.try_imap(same, range);
  const auto read_all = [&] {
    while (stream.next()) {
    }
  };
  EXPECT_THROW(read_all(), CancelledError);
}

TEST_F(StreamTest, TellsItsProgress) {
  Pool pool(2);
  std::vector<Progress> told;
  auto stream = pool.imap(square, Counted(100),
                          {.progress = [&told](const Progress& each) { told.push_back(each); }});
  EXPECT_EQ(rest_of(stream).size(), 100U);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().done, 100U);
  EXPECT_EQ(told.back().total, 100U);
}

TEST_F(StreamTest, AProgressFunctionThatThrowsEndsIt) {
  Pool pool(2);
  auto stream = pool.imap(first_at_gate, Counted(100),
                          {.progress = [](const Progress&) { throw std::logic_error("enough"); }});
  EXPECT_THROW(static_cast<void>(stream.next()), std::logic_error);
  const auto read_to_end = [&stream] {
    while (stream.next()) {
    }
  };
  EXPECT_THROW(read_to_end(), RemoteError);
}

// Row 25: chunk-bad. There are no chunks, and this is what there is to get wrong.
TEST_F(StreamTest, ABufferOfNothingIsRefused) {
  Pool pool(1);
  try {
    static_cast<void>(pool.imap(square, Counted(1), {.buffersize = 0}));
    ADD_FAILURE() << "it was accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("buffersize is 0"));
  }
}

TEST_F(StreamTest, RunsInline) {
  Pool pool(Options{.inline_execution = true});
  Counted range(kEndless);
  {
    auto stream = pool.imap(throws_at_3, range);
    EXPECT_EQ(stream.next(), 0);
    EXPECT_EQ(stream.next(), 1);
    EXPECT_EQ(stream.next(), 2);
    EXPECT_THROW(static_cast<void>(stream.next()), std::out_of_range);
    EXPECT_EQ(stream.next(), 4);
    EXPECT_LE(range.drawn(), 6);
    stream.cancel();
    EXPECT_THROW(
        {
          while (stream.next()) {
          }
        },
        RemoteError);
  }
  auto whole = pool.imap_unordered(square, Counted(100));
  EXPECT_EQ(rest_of(whole), squares(100));
  pool.close();
  pool.join();
}

}  // namespace
}  // namespace bulkhead
