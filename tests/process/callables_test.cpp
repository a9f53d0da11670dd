// SPDX-License-Identifier: MIT
//
// What can be called, with what, from what kind of range, and what may come back.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <cereal/types/list.hpp>
#include <cereal/types/variant.hpp>
#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using CallableTest = test::ProcessTest;
using ArgumentTest = test::ProcessTest;

int twice(int x) {
  return 2 * x;
}

int twice_without_exceptions(int x) noexcept {
  return 2 * x;
}

struct Twice {
  template <class T>
  T operator()(const T& x) const {
    return x + x;
  }
};

/// Multiplies; its state travels.
class Scale {
 public:
  Scale() = default;
  explicit Scale(int factor) : factor_(factor) {}
  int operator()(int x) const { return factor_ * x; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(factor_);
  }

 private:
  int factor_ = 0;
};

/// Counts its own calls, in the worker's copy.
class Counting {
 public:
  int operator()(int) { return ++calls_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(calls_);
  }

 private:
  int calls_ = 0;
};

double power(double exponent, double x) {
  return std::pow(x, exponent);
}

std::string join(const std::string& left, const std::string& right, int number) {
  return left + right + std::to_string(number);
}

TEST_F(CallableTest, FunctionsAndPointersToThem) {
  Pool pool(2);
  int (*const pointer)(int) = twice;
  EXPECT_THAT(pool.map(twice, std::vector{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(&twice, std::vector{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(pointer, std::vector{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(twice_without_exceptions, std::vector{1, 2}), ElementsAre(2, 4));
}

TEST_F(CallableTest, TwoFunctionsOfOneTypeAreNotMistakenForEachOther) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(::toupper, 'a'), 'A');
  EXPECT_EQ(pool.apply(::tolower, 'A'), 'a');
  EXPECT_EQ(pool.apply(twice, 'a'), 2 * 'a');
}

TEST_F(CallableTest, LambdasWithoutCaptures) {
  Pool pool(2);
  EXPECT_THAT(pool.map([](int x) { return x + 1; }, std::vector{1, 2}), ElementsAre(2, 3));
  EXPECT_THAT(pool.map([](int x) { return x - 1; }, std::vector{1, 2}), ElementsAre(0, 1));
  EXPECT_THAT(pool.map([](const auto& x) { return x + x; }, std::vector<std::string>{"ab"}),
              ElementsAre("abab"));
  EXPECT_THAT(pool.starmap([](auto... xs) { return (xs + ...); }, std::vector{std::tuple(1, 2, 3)}),
              ElementsAre(6));
}

TEST_F(CallableTest, FunctorsWithoutState) {
  Pool pool(2);
  EXPECT_THAT(pool.map(Twice{}, std::vector{1, 2}), ElementsAre(2, 4));
  EXPECT_THAT(pool.map(Twice{}, std::vector<std::string>{"x"}), ElementsAre("xx"));
  EXPECT_THAT(pool.starmap(std::plus<>{}, std::vector{std::pair(1, 2)}), ElementsAre(3));
}

TEST_F(CallableTest, FunctorsWithStateKeepItApartFromEarlierOnes) {
  Pool pool(2);
  for (const int factor : {3, 5, 7}) {
    EXPECT_THAT(pool.map(Scale(factor), std::vector{1, 2}), ElementsAre(factor, 2 * factor));
  }
  EXPECT_EQ(pool.apply(Scale(9), 9), 81);
}

TEST_F(CallableTest, StateTravelsOncePerCallAndWorker) {
  Pool pool(1);
  EXPECT_THAT(pool.map(Counting{}, std::vector{0, 0, 0}), ElementsAre(1, 2, 3));
  EXPECT_THAT(pool.map(Counting{}, std::vector{0, 0}), ElementsAre(1, 2));
}

TEST_F(CallableTest, PartialsBindTheirFirstArgumentsByValue) {
  Pool pool(2);
  EXPECT_THAT(pool.map(partial(power, 2.0), std::vector{2.0, 3.0}), ElementsAre(4.0, 9.0));
  EXPECT_THAT(pool.map(partial(&power, 3.0), std::vector{2.0}), ElementsAre(8.0));
  std::string right = "b";
  const auto joined = partial(join, "a", right);
  right = "changed afterwards";
  EXPECT_THAT(pool.map(joined, std::vector{1, 2}), ElementsAre("ab1", "ab2"));
  EXPECT_THAT(
      pool.map(partial([](int a, int b, int c) { return a * b + c; }, 2, 3), std::vector{4}),
      ElementsAre(10));
  EXPECT_THAT(pool.map(partial(Scale(6)), std::vector{7}), ElementsAre(42));
  EXPECT_THAT(pool.map(partial(partial(join, "x"), "y"), std::vector{1}), ElementsAre("xy1"));
  EXPECT_THAT(
      pool.map(partial([](const std::vector<double>& table, std::size_t i) { return table.at(i); },
                       std::vector{0.5, 1.5}),
               std::vector<std::size_t>{1, 0}),
      ElementsAre(1.5, 0.5));
}

TEST_F(CallableTest, VoidResults) {
  Pool pool(2);
  const auto even_only = [](int x) {
    if (x % 2 != 0) throw std::invalid_argument("odd");
  };
  static_assert(std::is_void_v<decltype(pool.map(even_only, std::vector{2}))>);
  pool.map(even_only, std::vector{2, 4});
  EXPECT_THROW(pool.map(even_only, std::vector{2, 3}), std::invalid_argument);
  const std::vector<Outcome<void>> outcomes = pool.try_map(even_only, std::vector{2, 3});
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_TRUE(outcomes[0]);
  EXPECT_FALSE(outcomes[1]);
}

TEST_F(CallableTest, ManyCallablesInOnePoolAndOneAfterTheOther) {
  Pool pool(2);
  for (int round = 0; round < 300; ++round) {
    ASSERT_EQ(pool.apply(Scale(round), 2), 2 * round);
    ASSERT_EQ(pool.apply(partial(join, "n", "="), round), "n=" + std::to_string(round));
  }
}

// ---------------------------------------------------------------------------------------------

template <class T>
T echo(T value) {
  return value;
}

template <class T>
T round_trip(Pool& pool, const T& value) {
  return pool.apply(echo<T>, value);
}

struct Plain {
  int a;
  double b;
  std::array<char, 5> text;
  bool operator==(const Plain&) const = default;
};

struct Tree {
  std::string name;
  std::vector<Tree> branches;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, branches);
  }
  bool operator==(const Tree&) const = default;
};

enum class Colour : std::uint8_t { red, green };

struct Nothing {
  bool operator==(const Nothing&) const = default;
};

/// Has a codec of its own, and no default constructor.
class Celsius {
 public:
  explicit Celsius(double degrees) : degrees_(degrees) {}
  virtual ~Celsius() = default;
  Celsius(const Celsius&) = default;
  [[nodiscard]] double degrees() const { return degrees_; }

 private:
  double degrees_;
};

}  // namespace

template <>
struct Codec<Celsius> {
  static void encode(const Celsius& value, ByteWriter& out) { out.put(value.degrees()); }
  static Celsius decode(ByteReader& in) { return Celsius(in.get<double>()); }
};

namespace {

TEST_F(ArgumentTest, ValuesOfAllKindsCrossAndComeBackEqual) {
  Pool pool(1);
  EXPECT_EQ(round_trip(pool, true), true);
  EXPECT_EQ(round_trip(pool, 'x'), 'x');
  EXPECT_EQ(round_trip(pool, -1.5e300), -1.5e300);
  EXPECT_EQ(round_trip(pool, Colour::green), Colour::green);
  EXPECT_EQ(round_trip(pool, std::string("text with \0 and \xff", 17)),
            std::string("text with \0 and \xff", 17));
  EXPECT_EQ(round_trip(pool, std::vector{1, 2, 3}), (std::vector{1, 2, 3}));
  EXPECT_EQ(round_trip(pool, Plain{1, 2.5, {'a'}}), (Plain{1, 2.5, {'a'}}));
  EXPECT_EQ(round_trip(pool, std::vector{Plain{1, 2, {}}, Plain{3, 4, {}}}),
            (std::vector{Plain{1, 2, {}}, Plain{3, 4, {}}}));
  const Tree tree{"root", {{"left", {}}, {"right", {{"leaf", {}}}}}};
  EXPECT_EQ(round_trip(pool, tree), tree);
  const std::map<std::string, std::vector<int>> map{{"one", {1}}, {"none", {}}};
  EXPECT_EQ(round_trip(pool, map), map);
  const std::tuple<int, std::string, std::optional<double>> tuple{1, "two", std::nullopt};
  EXPECT_EQ(round_trip(pool, tuple), tuple);
  const std::variant<int, std::string> variant = "second";
  EXPECT_EQ(round_trip(pool, variant), variant);
  EXPECT_EQ(round_trip(pool, std::list<std::string>{"a", "b"}), (std::list<std::string>{"a", "b"}));
  EXPECT_EQ(pool.map(echo<Celsius>, std::vector{Celsius(21.5)})[0].degrees(), 21.5);
}

// Row 53: zero-bytes.
TEST_F(ArgumentTest, EmptyValuesComeBackAsValues) {
  Pool pool(1);
  EXPECT_EQ(round_trip(pool, std::string()), "");
  EXPECT_THAT(round_trip(pool, std::vector<int>()), IsEmpty());
  EXPECT_THAT(round_trip(pool, std::vector<std::string>()), IsEmpty());
  EXPECT_EQ(round_trip(pool, std::tuple<>()), std::tuple<>());
  EXPECT_EQ(round_trip(pool, Nothing{}), Nothing{});
  EXPECT_EQ(round_trip(pool, std::optional<int>()), std::nullopt);
  EXPECT_THAT(pool.map(echo<std::string>, std::vector<std::string>(1000)), Each(""));
  EXPECT_THAT(pool.map(echo<Nothing>, std::vector<Nothing>(1000)), SizeIs(1000));
  EXPECT_EQ(pool.apply([] { return 5; }), 5);
}

TEST_F(ArgumentTest, VectorOfBoolInAndOut) {
  Pool pool(2);
  const std::vector<bool> bits{true, false, true};
  EXPECT_EQ(round_trip(pool, bits), bits);
  const std::vector<bool> flipped = pool.map([](bool bit) { return !bit; }, bits);
  EXPECT_EQ(flipped, (std::vector<bool>{false, true, false}));
}

TEST_F(ArgumentTest, ResultsThatCanOnlyBeMoved) {
  Pool pool(2);
  const auto make = [](int x) { return std::make_unique<int>(x); };
  const std::vector<std::unique_ptr<int>> results = pool.map(make, test::numbers(0, 100));
  ASSERT_THAT(results, SizeIs(100));
  for (int x = 0; x < 100; ++x) EXPECT_EQ(*results[static_cast<std::size_t>(x)], x);
  auto outcomes = pool.try_map(make, std::vector{7});
  EXPECT_EQ(*std::move(outcomes[0]).value(), 7);
  EXPECT_EQ(*pool.apply(make, 3), 3);
}

TEST_F(ArgumentTest, ArgumentsThatCanOnlyBeMoved) {
  Pool pool(2);
  std::vector<std::unique_ptr<int>> owners;
  for (int x = 0; x < 10; ++x) owners.push_back(std::make_unique<int>(x));
  const auto take = [](std::unique_ptr<int> owner) { return *owner; };
  EXPECT_THAT(pool.map(take, owners), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(*owners[9], 9) << "the caller's elements are his own";
  EXPECT_EQ(pool.apply(take, std::make_unique<int>(5)), 5);
}

TEST_F(ArgumentTest, ResultsWithoutADefaultConstructor) {
  Pool pool(2);
  const std::vector<Celsius> results =
      pool.map([](int x) { return Celsius(x + 0.5); }, std::vector{1, 2});
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_EQ(results[1].degrees(), 2.5);
}

TEST_F(ArgumentTest, TasksMayTakeTheirArgumentInAnyWay) {
  Pool pool(1);
  const std::vector<std::string> words{"ab"};
  EXPECT_THAT(pool.map([](std::string word) { return word + "1"; }, words), ElementsAre("ab1"));
  EXPECT_THAT(pool.map([](std::string&& word) { return word + "2"; }, words), ElementsAre("ab2"));
  EXPECT_THAT(pool.map([](const std::string& word) { return word + "3"; }, words),
              ElementsAre("ab3"));
  EXPECT_THAT(pool.map([](std::string& word) { return word += "4"; }, words), ElementsAre("ab4"));
  EXPECT_THAT(pool.map([](std::string_view word) { return word.size(); }, words), ElementsAre(2));
  EXPECT_THAT(words, ElementsAre("ab"));
}

TEST_F(ArgumentTest, ReferencesComeBackAsValues) {
  Pool pool(1);
  const auto longest = [](const std::vector<std::string>& words) -> const std::string& {
    return *std::max_element(words.begin(), words.end(),
                             [](const auto& a, const auto& b) { return a.size() < b.size(); });
  };
  EXPECT_EQ(pool.apply(longest, std::vector<std::string>{"a", "abc", "ab"}), "abc");
}

TEST_F(CallableTest, StateLargerThanTheRingTravelsInEveryCall) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const auto look_up = [](const std::vector<int>& table, int x) {
    return table[static_cast<std::size_t>(x)];
  };
  for (int round = 0; round < 5; ++round) {
    const std::vector<int> table(1'000'000, round);
    const auto results = pool.map(partial(look_up, table), test::numbers(0, 1000));
    EXPECT_THAT(results, Each(round));
  }
}

TEST_F(CallableTest, DelayedCallsAreRunInOrder) {
  Pool pool(2);
  EXPECT_THAT(pool.run({delayed(power, 2.0, 3.0), delayed(power, 3.0, 2.0)}),
              ElementsAre(9.0, 8.0));
  // Of several functions of one type.
  using Call = decltype(delayed(power, 1.0, 1.0));
  const auto difference = +[](double a, double b) { return a - b; };
  std::vector<Call> calls;
  for (int i = 0; i < 1000; ++i) {
    calls.push_back(i % 2 == 0 ? delayed(power, 2.0, 1.0 * i)
                               : delayed(difference, 2.0 * i, 1.0 * i));
  }
  const std::vector<double> results = pool.run(calls);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(results.at(static_cast<std::size_t>(i)), i % 2 == 0 ? double(i) * i : double(i));
  }
  pool.run(std::vector{delayed([] {})});
}

TEST_F(CallableTest, DelayedCallsFailEachByItself) {
  Pool pool(2);
  const auto positive = [](int x) {
    if (x < 0) throw std::out_of_range("negative");
    return x;
  };
  const auto outcomes = pool.try_run({delayed(positive, 1), delayed(positive, -1)});
  EXPECT_EQ(outcomes.at(0).value_or(0), 1);
  EXPECT_FALSE(outcomes.at(1));
}

/// Uses the pool while its state is written.
struct Meddler {
  static inline Pool* pool = nullptr;
  int state = 1;
  int operator()(int x) const { return x + state; }
  template <class Archive>
  void save(Archive& archive) const {
    archive(pool->apply([](int x) { return x; }, 1));
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(state);
  }
};

TEST_F(CallableTest, StateThatUsesThePoolWhileItIsWrittenIsAnError) {
  Pool pool(1);
  Meddler::pool = &pool;
  EXPECT_THROW((void)pool.map(Meddler{}, std::vector{1}), Error);
  EXPECT_EQ(pool.apply([](int x) { return x; }, 2), 2);
}

}  // namespace
}  // namespace bulkhead
