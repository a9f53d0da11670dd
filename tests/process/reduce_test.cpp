// SPDX-License-Identifier: MIT
//
// reduce and map_reduce: the same result whatever the luck, the very element to blame, and memory
// that does not grow with the range.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/tree.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/replay.hpp>
#include <bulkhead/testing.hpp>
#include <bulkhead/this_task.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using fault::Point;
using test::bracketed;
using test::tree_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kRuns = 4096;

struct State {
  test::Gated gated;
  std::array<std::atomic<std::uint8_t>, kRuns> runs;
};
const test::Shared<State> state;

class ReduceTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

int runs_of(std::size_t element) {
  return state->runs[element];
}
void note_run(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
}

/// With 1, 2 and 4 workers, and inline.
std::vector<Options> all_kinds() {
  std::vector<Options> kinds;
  for (const int workers : {1, 2, 4}) kinds.push_back(Options{.workers = workers});
  kinds.push_back(Options{.workers = 2, .inline_execution = true});
  return kinds;
}

std::string text(int x) {
  return std::to_string(x);
}
std::vector<std::string> texts(const std::vector<int>& xs) {
  std::vector<std::string> all;
  for (const int x : xs) all.push_back(text(x));
  return all;
}

/// Sums of them depend very much on the order.
std::vector<double> ill_conditioned(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<double> values(count);
  for (double& value : values) {
    const double mantissa = std::uniform_real_distribution<double>(-1, 1)(random);
    value = std::ldexp(mantissa, static_cast<int>(random() % 120) - 60);
  }
  return values;
}
std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

const std::vector<int> kSizes{0,  1,  2,  3,  4,   5,   7,   8,   9,   15,  16,
                              17, 31, 33, 63, 100, 127, 128, 129, 511, 513, 1024};

// ---------------------------------------------------------------------------------------------------
// The result

TEST_F(ReduceTest, CombinesAsTheEquationSays) {
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    for (const int size : kSizes) {
      const std::vector<int> xs = test::numbers(0, size);
      EXPECT_EQ(pool.map_reduce(xs, text, bracketed, "init"),
                tree_of(texts(xs), bracketed, std::string("init")))
          << size << " elements";
    }
  }
}

TEST_F(ReduceTest, SumsHaveTheSameBitsWithAnyNumberOfWorkers) {
  for (const std::size_t size : {2U, 1000U, 4095U, 4096U, 4097U, 300'000U}) {
    const std::vector<double> xs = ill_conditioned(size);
    const std::uint64_t expected = bits(tree_of(xs, std::plus<>{}, 0.5));
    for (const Options& options : all_kinds()) {
      Pool pool(options);
      EXPECT_EQ(bits(pool.reduce(xs, std::plus<>{}, 0.5)), expected);
      EXPECT_EQ(bits(pool.reduce(std::list(xs.begin(), xs.end()), std::plus<>{}, 0.5)), expected);
    }
  }
}

TEST_F(ReduceTest, SumsHaveTheSameBitsAfterCrashes) {
  const std::vector<double> xs = ill_conditioned(5000);
  const std::uint64_t expected = bits(tree_of(xs, std::plus<>{}, 0.0));
  std::vector<fault::Fault> faults;
  for (const std::uint64_t element : {0U, 1U, 77U, 1000U, 1001U, 3333U, 4998U, 4999U}) {
    faults.push_back(fault::kill(Point::task_begins, element));
    faults.push_back(fault::kill(Point::task_ends, element / 2 + 11));
  }
  for (const int workers : {1, 2, 4}) {
    Pool pool(Options{.workers = workers, .faults = faults});
    const CallOptions options{.retries = {.crashes = 2}};
    EXPECT_EQ(bits(pool.reduce(xs, std::plus<>{}, 0.0, options)), expected);
  }
}

TEST_F(ReduceTest, NeedNotCommute) {
  struct Matrix {
    std::uint64_t a, b, c, d;
    bool operator==(const Matrix&) const = default;
  };
  const auto times = [](const Matrix& x, const Matrix& y) {
    return Matrix{x.a * y.a + x.b * y.c, x.a * y.b + x.b * y.d, x.c * y.a + x.d * y.c,
                  x.c * y.b + x.d * y.d};
  };
  const auto matrix = [](std::uint64_t x) { return Matrix{x, x * x + 1, 7 * x + 3, 2 * x}; };
  const auto xs = test::numbers<std::uint64_t>(0, 3000);
  const Matrix init{1, 2, 3, 4};
  Matrix expected = init;
  for (const std::uint64_t x : xs) expected = times(expected, matrix(x));
  Pool pool(2);
  EXPECT_EQ(pool.map_reduce(xs, matrix, times, init), expected);
}

TEST_F(ReduceTest, StringsAreJoinedInOrder) {
  const auto xs = test::numbers(0, 2000);
  std::string expected = ">";
  for (const int x : xs) expected += text(x);
  Pool pool(2);
  EXPECT_EQ(pool.map_reduce(xs, text, std::plus<>{}, ">"), expected);
  EXPECT_EQ(pool.reduce(texts(xs), std::plus<>{}, std::string(">")), expected);
}

TEST_F(ReduceTest, AnEmptyRangeGivesTheInitialValue) {
  const auto fail = [](double, double) -> double { std::abort(); };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    EXPECT_EQ(pool.reduce(std::vector<double>{}, fail, 4.5), 4.5);
    EXPECT_EQ(pool.reduce(std::list<double>{}, fail, 4.5), 4.5);
  }
}

TEST_F(ReduceTest, TheInitialValueIsOnTheLeft) {
  Pool pool(2);
  EXPECT_EQ(pool.reduce(std::vector{1}, std::minus<>{}, 10), 9);
  EXPECT_EQ(pool.reduce(std::vector{1, 2}, std::minus<>{}, 10), 11);
}

TEST_F(ReduceTest, ResultsOfMapBecomeTheAccumulator) {
  Pool pool(2);
  const auto half = [](int x) { return static_cast<float>(x) / 2; };
  EXPECT_EQ(pool.map_reduce(std::vector{1, 2}, half, std::plus<>{}, 0.0), 1.5);
  const auto first = [](const std::string& a, const std::string&) { return a; };
  const auto literal = [](int) { return "from a literal"; };
  EXPECT_EQ(pool.map_reduce(std::vector{1, 2}, literal, first, ""), "");
  const std::vector<bool> flags{true, false, true};
  EXPECT_EQ(pool.reduce(flags, std::plus<>{}, 0), 2);
}

/// Sent with its state.
struct Scaled {
  double factor = 0;
  double operator()(double x) const { return factor * x; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(factor);
  }
};
struct Modular {
  int modulus = 1;
  int operator()(int a, int b) const { return (a + b) % modulus; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(modulus);
  }
};
double power(double exponent, double x) {
  return std::pow(x, exponent);
}

TEST_F(ReduceTest, FunctionsTravelAsWithMap) {
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    const std::vector<double> xs{1, 2, 3};
    EXPECT_EQ(pool.map_reduce(xs, Scaled{2}, std::plus<>{}, 0.0), 12);
    EXPECT_EQ(pool.map_reduce(xs, partial(power, 2.0), std::plus<>{}, 0.0), 14);
    EXPECT_EQ(pool.reduce(std::vector{4, 5, 6}, Modular{7}, 0), 1);
    EXPECT_EQ(pool.reduce(
                  xs, partial([](double s, double a, double b) { return s * (a + b); }, 1.0), 0.0),
              6);
    double (*null)(double) = nullptr;
    EXPECT_THROW((void)pool.map_reduce(xs, null, std::plus<>{}, 0.0), InvalidArgument);
  }
}

TEST_F(ReduceTest, AccumulatorsMayOnlyMove) {
  const auto box = [](int x) { return std::make_unique<int>(x); };
  const auto add = [](std::unique_ptr<int> a, std::unique_ptr<int> b) {
    *a += *b;
    return a;
  };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    EXPECT_EQ(*pool.map_reduce(test::numbers(0, 1000), box, add, std::make_unique<int>(5)),
              499'505);
    EXPECT_EQ(*pool.map_reduce(std::vector<int>{}, box, add, std::make_unique<int>(5)), 5);
  }
}

using Histogram = std::vector<std::uint64_t>;
constexpr std::size_t kBins = 1 << 17;

Histogram histogram(int x) {
  Histogram bins(kBins);
  bins[static_cast<std::size_t>(x) * 7919 % kBins] = 1;
  return bins;
}
Histogram add_bins(Histogram a, const Histogram& b) {
  for (std::size_t i = 0; i < kBins; ++i) a[i] += b[i];
  return a;
}

TEST_F(ReduceTest, AccumulatorsMayBeLarge) {
  Pool pool(2);
  const Histogram all =
      pool.map_reduce(test::numbers(0, 100), histogram, add_bins, Histogram(kBins));
  EXPECT_EQ(std::accumulate(all.begin(), all.end(), std::uint64_t{0}), 100U);
  for (std::size_t x = 0; x < 100; ++x) EXPECT_EQ(all[x * 7919 % kBins], 1U);
}

TEST_F(ReduceTest, AnAccumulatorMayBeChangedInPlace) {
  const auto extend = [](std::string& a, const std::string& b) -> std::string& { return a += b; };
  Pool pool(2);
  EXPECT_EQ(pool.reduce(texts(test::numbers(0, 12)), extend, ""), "01234567891011");
}

/// Elements that no block size is right for.
double uneven(int x) {
  if (x >= 4000 && x < 4030) test::work_for(3ms);
  return x;
}

TEST_F(ReduceTest, BlocksThatTakeTooLongAreEndedHalfWay) {
  const auto xs = test::numbers(0, 6000);
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    EXPECT_EQ(pool.map_reduce(xs, uneven, std::plus<>{}, 0.0), 6000.0 * 5999 / 2);
  }
}

TEST_F(ReduceTest, RingsMayBeSmall) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const auto xs = test::numbers(0, 3000);
  EXPECT_EQ(pool.map_reduce(xs, text, bracketed, "init"),
            tree_of(texts(xs), bracketed, std::string("init")));
}

// ---------------------------------------------------------------------------------------------------
// Failures

TEST_F(ReduceTest, AnExceptionIsBlamedOnItsElement) {
  const auto fail = [](int x) {
    if (x == 1234) throw std::out_of_range("too large");
    return x;
  };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    const auto xs = test::numbers(0, 4000);
    const auto outcome = pool.try_map_reduce(xs, fail, std::plus<>{}, 0);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 1234U);
    EXPECT_EQ(outcome.failure().message(), "too large");
    EXPECT_THROW((void)pool.map_reduce(xs, fail, std::plus<>{}, 0), std::out_of_range);
    EXPECT_EQ(pool.map_reduce(std::vector{1, 2}, fail, std::plus<>{}, 0), 3);
  }
}

TEST_F(ReduceTest, ACrashIsBlamedOnItsElement) {
  const auto crash = [](int x) {
    if (x == 1234) ::raise(SIGSEGV);
    if (x == 2345) ::_exit(3);
    return x;
  };
  for (const int workers : {1, 2}) {
    Pool pool(workers);
    const auto outcome = pool.try_map_reduce(test::numbers(0, 4000), crash, std::plus<>{}, 0);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 1234U);
    EXPECT_EQ(outcome.failure().signal(), SIGSEGV);
    EXPECT_THAT(outcome.failure().what(), StartsWith("task 1234 crashed"));
    const auto later = pool.try_map_reduce(test::numbers(2000, 4000), crash, std::plus<>{}, 0);
    EXPECT_EQ(later.failure().task(), 345U);
    EXPECT_EQ(later.failure().exit_code(), 3);
    EXPECT_EQ(pool.map_reduce(test::numbers(0, 3), crash, std::plus<>{}, 0), 3);
  }
}

TEST_F(ReduceTest, TheLowestFailureIsThrown) {
  const auto fail = [](int x) {
    if (x % 500 == 499) throw std::length_error(std::to_string(x));
    return x;
  };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    for (int i = 0; i < 5; ++i) {
      const auto outcome = pool.try_map_reduce(test::numbers(0, 4000), fail, std::plus<>{}, 0);
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.failure().task(), 499U);
    }
  }
}

/// Fails where node [begin, end) is combined: the sets of elements are intervals.
struct Interval {
  int begin = 0;
  int end = 0;
};
Interval interval(int x) {
  return {x, x + 1};
}
template <void (*Fail)()>
Interval joined(const Interval& a, const Interval& b) {
  if (a.begin == 2048 && b.end == 2560) Fail();
  return {a.begin, b.end};
}
void throw_range_error() {
  throw std::range_error("no such node");
}
void abort_now() {
  std::abort();
}

// Node [2048, 2560) is complete when element 2559 has come.
TEST_F(ReduceTest, AFailureOfTheReductionIsBlamedOnTheLastOfItsElements) {
  const auto xs = test::numbers(0, 4000);
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    const auto outcome = pool.try_map_reduce(xs, interval, joined<throw_range_error>, Interval{});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 2559U);
    EXPECT_EQ(outcome.failure().message(), "no such node");
  }
  for (const int workers : {1, 2}) {
    Pool pool(workers);
    const auto outcome = pool.try_map_reduce(xs, interval, joined<abort_now>, Interval{});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 2559U);
    EXPECT_EQ(outcome.failure().signal(), SIGABRT);
    EXPECT_TRUE(
        pool.try_map_reduce(test::numbers(0, 100), interval, joined<abort_now>, Interval{}));
  }
}

/// Large nodes are combined by tasks of their own.
TEST_F(ReduceTest, AReductionThatCrashesAmongNodesOfManyWorkersCostsTheCallOnly) {
  const auto box = [](int x) { return std::pair(x, std::string(600'000, 'x')); };
  using Box = std::pair<int, std::string>;
  const auto last = [](Box a, Box b) {
    if (a.first == 3 && b.first == 7) std::abort();  // [0, 4) with [4, 8)
    a.first = b.first;
    return a;
  };
  Pool pool(2);
  const auto outcome = pool.try_map_reduce(test::numbers(0, 64), box, last, Box{});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().task(), 7U);
  EXPECT_EQ(pool.map_reduce(test::numbers(0, 7), box, last, Box{}).first, 6);
}

TEST_F(ReduceTest, TheLastCombinationMayFailToo) {
  const auto fail = [](int a, int b) {
    if (a == -1) throw std::domain_error("init");
    return a + b;
  };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    const auto outcome = pool.try_reduce(test::numbers(0, 100), fail, -1);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 99U);
  }
}

/// Does not travel everywhere.
struct Fragile {
  int value = 0;
};

}  // namespace

template <>
struct Codec<Fragile> {
  static void encode(const Fragile& fragile, ByteWriter& out) {
    if (fragile.value == 777) throw std::logic_error("not to be encoded");
    out.put(fragile.value);
  }
  static Fragile decode(ByteReader& in) {
    const int value = in.get<int>();
    if (value == 888) throw std::logic_error("not to be decoded");
    return {value};
  }
};

namespace {

TEST_F(ReduceTest, CodecsThatThrowAreBlamedOnTheirElement) {
  const auto value = [](const Fragile& x) {
    if (x.value == 776 || x.value == 778) note_run(x.value);
    return x.value;
  };
  for (const Options& options : all_kinds()) {
    state.reset();
    Pool pool(options);
    std::vector<Fragile> xs;
    for (int i = 0; i < 1000; ++i) xs.push_back({i});
    const auto encoding = pool.try_map_reduce(xs, value, std::plus<>{}, 0);
    ASSERT_FALSE(encoding);
    EXPECT_EQ(encoding.failure().task(), 777U);
    EXPECT_THAT(encoding.failure().message(), HasSubstr("while encoding the argument"));
    EXPECT_EQ(runs_of(776), 1);
    xs[777].value = 0;
    const auto decoding = pool.try_map_reduce(xs, value, std::plus<>{}, 0);
    ASSERT_FALSE(decoding);
    EXPECT_EQ(decoding.failure().task(), 888U);
    EXPECT_THAT(decoding.failure().message(), HasSubstr("not to be decoded"));
  }
}

// ---------------------------------------------------------------------------------------------------
// Ranges

/// 0, 1, ... from an iterator that cannot be copied.
class Counted {
 public:
  class Iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Counted& range) : range_(&range) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;
    int operator*() const {
      if (at_ == range_->throws_at) throw std::runtime_error("the range is broken");
      ++range_->drawn;
      return at_;
    }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at_ == range_->count; }

   private:
    Counted* range_;
    int at_ = 0;
  };

  explicit Counted(int a_count, int throwing_at = -1) : count(a_count), throws_at(throwing_at) {}
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

  const int count;  ///< -1: endless
  const int throws_at;
  int drawn = 0;
};

TEST_F(ReduceTest, ARangeIsReadOnce) {
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    for (const int size : kSizes) {
      Counted range(size);
      EXPECT_EQ(pool.map_reduce(range, text, bracketed, "init"),
                tree_of(texts(test::numbers(0, size)), bracketed, std::string("init")));
      EXPECT_EQ(range.drawn, size);
    }
  }
}

TEST_F(ReduceTest, WhatARangeThrowsComesThrough) {
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    for (const int at : {0, 1, 100, 3000}) {
      Counted range(-1, at);
      EXPECT_EQ(
          test::text_of<std::runtime_error>([&] { (void)pool.reduce(range, std::plus<>{}, 0); }),
          "the range is broken");
    }
    EXPECT_EQ(pool.reduce(std::vector{1, 2}, std::plus<>{}, 0), 3);
  }
}

TEST_F(ReduceTest, AnEndlessRangeEndsWithTheFirstFailure) {
  const auto fail = [](int x) {
    if (x == 5000) throw std::length_error("far enough");
    return static_cast<std::int64_t>(x);
  };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    Counted range(-1);
    const auto outcome = pool.try_map_reduce(range, fail, std::plus<>{}, std::int64_t{0});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 5000U);
  }
}

long most_resident_kib() {
  ::rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss;
}

// While one element keeps its worker, nodes of all the others wait for it: 700 MiB in all.
TEST_F(ReduceTest, NodesThatWaitForOthersAreFew) {
  const auto wait_at_first = [](int x) {
    if (x == 0) state->gated.wait_for_gate(0);
    return std::string(1 << 20, 'x');
  };
  const auto either = [](std::string a, const std::string&) { return a; };
  Pool pool(2);
  Counted range(700);
  const auto open_at_end = [&](const Progress& progress) {
    if (progress.done >= 600) state->gated.gate.add();
  };
  const long before = most_resident_kib();
  (void)pool.map_reduce(range, wait_at_first, either, "", CallOptions{.progress = open_at_end});
  if (!test::kSanitized) {
    EXPECT_LT(most_resident_kib() - before, 180 << 10);
  }
}

// Of elements that wait for their next attempt each is a task of its own.
TEST_F(ReduceTest, ElementsThatWaitForAnAttemptAreBounded) {
  const auto fail = [](int) -> int { throw std::runtime_error("not now"); };
  Pool pool(2);
  Counted range(-1);
  int drawn_before = 0;
  int quiet = 0;
  const auto look = [&](const Progress&) {
    quiet = range.drawn == drawn_before ? quiet + 1 : 0;
    drawn_before = range.drawn;
    if (quiet == 3) throw std::length_error("no more are drawn");
  };
  const CallOptions options{.progress = look, .retries = {.exceptions = 1, .pause = 1h}};
  EXPECT_THROW((void)pool.map_reduce(range, fail, std::plus<>{}, 0, options), std::length_error);
  EXPECT_LT(range.drawn, 1000);
}

TEST_F(ReduceTest, MemoryDoesNotGrowWithTheRange) {
  Pool pool(2);
  Counted warm_up(100'000);
  (void)pool.map_reduce(
      warm_up, [](int x) { return x % 2; }, std::plus<>{}, 0);
  const long before = most_resident_kib();
  Counted range(3'000'000);
  (void)pool.map_reduce(
      range, [](int x) { return x % 2; }, std::plus<>{}, 0);
  if (!test::kSanitized) {
    EXPECT_LT(most_resident_kib() - before, 8 << 10);
  }
}

// ---------------------------------------------------------------------------------------------------
// Options of the call

TEST_F(ReduceTest, ProgressCountsElements) {
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    Progress last;
    const auto note = [&](const Progress& progress) { last = progress; };
    (void)pool.reduce(test::numbers(0, 1000), std::plus<>{}, 0, CallOptions{.progress = note});
    EXPECT_EQ(last.done, 1000U);
    EXPECT_EQ(last.failed, 0U);
    EXPECT_EQ(last.total, 1000U);
    Counted range(100);
    (void)pool.reduce(range, std::plus<>{}, 0, CallOptions{.progress = note});
    EXPECT_EQ(last.done, 100U);
    EXPECT_EQ(last.total, 100U);
  }
}

TEST_F(ReduceTest, AStopEndsTheCall) {
  const auto hang = [](int x) {
    while (x == 50) ::pause();
    return x;
  };
  Pool pool(2);
  std::stop_source source;
  const auto stop = [&](const Progress&) { source.request_stop(); };
  const CallOptions options{.progress = stop, .stop = source.get_token()};
  const auto outcome = pool.try_map_reduce(test::numbers(0, 100), hang, std::plus<>{}, 0, options);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
  EXPECT_THROW((void)pool.map_reduce(test::numbers(0, 100), hang, std::plus<>{}, 0, options),
               CancelledError);
  EXPECT_EQ(pool.map_reduce(std::vector{1, 2}, hang, std::plus<>{}, 0), 3);
}

// The element that was told returns, and none after it is begun.
TEST_F(ReduceTest, AStopEndsABlockAtTheElementThatWasTold) {
  const auto heed = [](int x) {
    note_run(x);
    if (x == 50) {
      while (!this_task::stop_requested()) test::pause_a_moment();
    }
    return x;
  };
  Pool pool(1);
  std::stop_source source;
  const auto stop = [&](const Progress&) { source.request_stop(); };
  const CallOptions options{.progress = stop, .stop = source.get_token()};
  const auto outcome = pool.try_map_reduce(test::numbers(0, 100), heed, std::plus<>{}, 0, options);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
  EXPECT_EQ(runs_of(50), 1);
  EXPECT_EQ(runs_of(51), 0);
}

// The copy ends when it comes to the next element, or to the answer.
TEST_F(ReduceTest, AnElementThatForksAndReturnsTwiceIsCountedOnce) {
  const auto fork_once = [](int x) {
    note_run(x);
    if (x == 300) static_cast<void>(::fork());
    return x;
  };
  const auto fork_to_combine = [](int a, int b) {
    if (b == 300) static_cast<void>(::fork());
    return a + b;
  };
  Pool pool(1);
  const auto xs = test::numbers(0, 1000);
  EXPECT_EQ(pool.map_reduce(xs, fork_once, std::plus<>{}, 0), 499'500);
  EXPECT_EQ(runs_of(301), 1);
  EXPECT_EQ(pool.reduce(xs, fork_to_combine, 0), 499'500);
}

// What is saved of a block is the element that failed.
TEST_F(ReduceTest, AFailedElementCanBeReplayed) {
  char directory[] = "/tmp/bulkhead-reduce-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const auto fail = [](int x) {
    note_run(x);
    if (x == 700) throw std::out_of_range("at " + std::to_string(this_task::index()));
    return x;
  };
  {
    Pool pool(Options{.workers = 2, .replay_dir = directory});
    const auto outcome = pool.try_map_reduce(test::numbers(0, 1000), fail, std::plus<>{}, 0);
    ASSERT_FALSE(outcome);
    const std::string file = outcome.failure().replay_file();
    EXPECT_THAT(file, HasSubstr("-700."));
    state.reset();
    EXPECT_EQ(test::text_of<std::out_of_range>([&] { replay(file); }), "at 700");
    EXPECT_EQ(runs_of(699), 0);
    EXPECT_EQ(runs_of(700), 1);
  }
  std::filesystem::remove_all(directory);
}

TEST_F(ReduceTest, ATimeoutIsThatOfAnElement) {
  const auto hang = [](int x) {
    while (x == 50) ::pause();
    if (x % 10 == 0) test::work_for(20ms);
    return text(x);
  };
  Pool pool(2);
  const auto outcome = pool.try_map_reduce(test::numbers(0, 100), hang, bracketed, "init",
                                           CallOptions{.timeout = 500ms});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().kind(), FailureKind::timed_out);
  EXPECT_EQ(outcome.failure().task(), 50U);
  const auto xs = test::numbers(0, 37);
  EXPECT_EQ(pool.map_reduce(xs, hang, bracketed, "init", CallOptions{.timeout = 10s}),
            tree_of(texts(xs), bracketed, std::string("init")));
}

/// Fails in its first `kFailures` attempts, one in a hundred.
template <int kFailures, void (*Fail)()>
int fail_at_first(int x) {
  note_run(x);
  if (x % 100 == 42 && this_task::attempt() <= kFailures) Fail();
  if (x % 100 != 42 && this_task::attempt() != 1) return 1'000'000;
  return x;
}
void die() {
  ::_exit(1);
}

TEST_F(ReduceTest, RetriesAreThoseOfTheElement) {
  const auto xs = test::numbers(0, 2000);
  const int expected = 2000 * 1999 / 2;
  for (const int workers : {1, 2}) {
    Pool pool(workers);
    state.reset();
    EXPECT_EQ(pool.map_reduce(xs, fail_at_first<2, die>, std::plus<>{}, 0,
                              CallOptions{.retries = {.crashes = 2}}),
              expected);
    for (std::size_t x = 42; x < 2000; x += 100) EXPECT_GE(runs_of(x), 3) << x;
    const auto outcome = pool.try_map_reduce(xs, fail_at_first<2, die>, std::plus<>{}, 0,
                                             CallOptions{.retries = {.crashes = 1}});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().task(), 42U);
    EXPECT_EQ(outcome.failure().attempt(), 2);
    ASSERT_EQ(outcome.failure().earlier().size(), 1U);
    EXPECT_EQ(outcome.failure().earlier()[0].task(), 42U);
  }
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    EXPECT_EQ(pool.map_reduce(xs, fail_at_first<1, throw_range_error>, std::plus<>{}, 0,
                              CallOptions{.retries = {.exceptions = 1}}),
              expected);
  }
}

// Element 100 fails first, and would be run again in an hour.
TEST_F(ReduceTest, NobodyWaitsForAnAttemptBehindAFailure) {
  const auto fail = [](int x) {
    if (x == 5) {
      state->gated.wait_for_gate(x);
      ::_exit(1);
    }
    if (x == 100) throw std::runtime_error("not now");
    if (x == 1000) state->gated.gate.add();
    return x;
  };
  Pool pool(2);
  const CallOptions options{.retries = {.exceptions = 1, .pause = 1h}};
  const auto outcome = pool.try_map_reduce(test::numbers(0, 3000), fail, std::plus<>{}, 0, options);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().task(), 5U);
  EXPECT_EQ(outcome.failure().kind(), FailureKind::crashed);
}

TEST_F(ReduceTest, WithoutRetriesNothingIsRunTwice) {
  const auto note = [](int x) {
    note_run(x);
    if (x == 3000) throw std::runtime_error("no");
    return x;
  };
  Pool pool(2);
  EXPECT_FALSE(pool.try_map_reduce(test::numbers(0, 4000), note, std::plus<>{}, 0));
  for (std::size_t x = 0; x <= 3000; ++x) ASSERT_EQ(runs_of(x), 1) << x;
  for (std::size_t x = 3001; x < 4000; ++x) ASSERT_LE(runs_of(x), 1) << x;
}

TEST_F(ReduceTest, ATaskKnowsItsElement) {
  using Indexed = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  const auto ask = [](int) { return Indexed{{this_task::index(), this_task::seed()}}; };
  const auto join = [](Indexed a, const Indexed& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  const auto seeds = [](int) { return this_task::seed(); };
  for (const Options& options : all_kinds()) {
    Pool pool(options);
    const auto xs = test::numbers(0, 500);
    const CallOptions seeded{.seed = 99};
    const auto expected = pool.map(seeds, xs, seeded);
    const Indexed all = pool.map_reduce(xs, ask, join, Indexed{}, seeded);
    ASSERT_EQ(all.size(), 500U);
    for (std::size_t i = 0; i < 500; ++i) {
      EXPECT_EQ(all[i].first, i);
      EXPECT_EQ(all[i].second, expected[i]);
    }
  }
}

TEST_F(ReduceTest, FaultsMeetElements) {
  Pool pool(Options{.workers = 2, .faults = {fault::kill(Point::task_begins, 300)}});
  const auto outcome = pool.try_reduce(test::numbers(0, 1000), std::plus<>{}, 0);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.failure().task(), 300U);
  EXPECT_EQ(outcome.failure().signal(), SIGKILL);
}

TEST_F(ReduceTest, APoolThatIsClosedRefuses) {
  Pool pool(1);
  pool.close();
  EXPECT_THROW((void)pool.reduce(std::vector{1}, std::plus<>{}, 0), PoolClosed);
  pool.join();
}

}  // namespace
}  // namespace bulkhead
