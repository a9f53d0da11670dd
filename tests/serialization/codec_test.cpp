// SPDX-License-Identifier: MIT
//
// Values to bytes and back: what has a codec, and that all of it comes back.
#include "tests/serialization/codec_types.hpp"
#include <bulkhead/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace bulkhead {
namespace {

using detail::SpillWriter;

// -------------------------------------------------------------------------------------------------
// What can be sent

static_assert(Encodable<int> && Encodable<bool> && Encodable<long double> && Encodable<Colour>);
static_assert(Encodable<Point> && Encodable<Padded> && Encodable<Empty> && Encodable<NoDefault>);
static_assert(Encodable<std::vector<std::map<std::string, std::optional<Point>>>>);
static_assert(Encodable<std::tuple<int, std::pair<std::string, Person>>>);
static_assert(Encodable<std::unique_ptr<Person>> && Encodable<Celsius>);

static_assert(!Encodable<int*> && !Encodable<const char*> && !Encodable<void (*)()>);
static_assert(!Encodable<int Point::*> && !Encodable<int (Person::*)()>);
static_assert(!Encodable<std::string_view> && !Encodable<std::span<int>>);
static_assert(!Encodable<std::span<const int, 3>> && !Encodable<std::reference_wrapper<int>>);
static_assert(!Encodable<NoCodec> && !Encodable<std::function<void()>>);

static_assert(!Encodable<std::vector<NoCodec>> && !Encodable<std::vector<int*>>);
static_assert(!Encodable<std::vector<std::vector<std::string_view>>>);
static_assert(!Encodable<std::map<int, NoCodec>>);
static_assert(!Encodable<std::map<std::string_view, int>>);
static_assert(!Encodable<std::pair<int, const char*>>);
static_assert(!Encodable<std::tuple<int, std::string, NoCodec>>);
static_assert(!Encodable<std::optional<std::string_view>>);
static_assert(!Encodable<std::array<const char*, 3>>);

TEST(Codec, DoesNotTakeWhatOnlyPointsElsewhereForAPlainStruct) {
  EXPECT_FALSE(Encodable<std::initializer_list<int>>);
  EXPECT_FALSE(Encodable<std::vector<int>::iterator>);
}

// -------------------------------------------------------------------------------------------------
// There and back

template <class T>
void expect_back(const T& value) {
  EXPECT_EQ(there_and_back(value), value);
}

TEST(Codec, BringsNumbersBack) {
  expect_back(true);
  expect_back('x');
  expect_back(u'\u00e9');
  expect_back(std::numeric_limits<std::int64_t>::min());
  expect_back(std::numeric_limits<std::uint64_t>::max());
  expect_back(-0.1F);
  expect_back(std::numeric_limits<double>::denorm_min());
  expect_back(3.25L);
}

TEST(Codec, BringsNotANumberBackBitByBit) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(encoded(there_and_back(nan)), encoded(nan));
}

TEST(Codec, BringsEnumsBack) {
  expect_back(Colour::blue);
  expect_back(kSecond);
}

TEST(Codec, BringsPlainStructsBack) {
  expect_back(Point{1.5, -2.5});
  expect_back(Padded{'p', 2.5, 7});
  expect_back(Empty{});
  expect_back(NoDefault(4));
}

TEST(Codec, CopiesAPlainStructAsItIs) {
  EXPECT_EQ(encoded(Point{}).size(), sizeof(Point));
  EXPECT_EQ(encoded(std::vector<Point>(10)).size(), sizeof(std::uint64_t) + 10 * sizeof(Point));
}

TEST(Codec, BringsStringsBack) {
  expect_back(std::string());
  expect_back(std::string("a\0b\0", 4));
  expect_back(std::string(100'000, 'x'));
  expect_back(std::u16string(u"caf\u00e9"));
}

TEST(Codec, BringsVectorsBack) {
  expect_back(std::vector<double>());
  expect_back(std::vector<double>{1, -2, 0.5});
  expect_back(std::vector<Point>{{1, 2}, {3, 4}});
  expect_back(std::vector<Empty>(3));
  expect_back(std::vector<Colour>{Colour::green, Colour::red});
  expect_back(std::vector<std::string>{"", "a", std::string(5000, 'b')});
  expect_back(std::vector<std::vector<int>>{{}, {1}, {2, 3}});
  expect_back(std::vector<Person>{{"Ann", 33, {Colour::red}}, {}});
}

/// Counts the pieces in which a value is written.
class PieceCounter : public ByteWriter {
 public:
  [[nodiscard]] int pieces() const { return pieces_; }

 private:
  void write_slow(const std::byte*, std::size_t) override { ++pieces_; }
  int pieces_ = 0;
};

template <class T>
void expect_written_as_one_array(const std::vector<T>& array) {
  const std::pair<int, std::vector<T>> value(5, array);
  PieceCounter counter;
  Codec<std::pair<int, std::vector<T>>>::encode(value, counter);
  EXPECT_EQ(counter.pieces(), 3) << "the number, the count, the elements";
  expect_back(value);
}

TEST(Codec, OfTheUsersIsUsedInsideOtherTypesToo) {
  auto pair = std::pair(std::string("done"), Percent{0.5});
  EXPECT_EQ(encoded(pair).size(), sizeof(std::uint64_t) + 4 + 1);
  EXPECT_EQ(decoded<decltype(pair)>(encoded(pair)).second.value, 0.5);
  auto list = std::tuple(1, std::vector<Percent>{{0.25}, {0.75}});
  EXPECT_EQ(encoded(list).size(), sizeof(int) + sizeof(std::uint64_t) + 2);
  EXPECT_EQ(std::get<1>(decoded<decltype(list)>(encoded(list)))[1].value, 0.75);
}

TEST(Codec, BringsElementsOfMapsBack) {
  const std::map<std::string, std::vector<int>> map{{"a", {1, 2}}, {"b", {}}};
  for (const auto& element : map) expect_back(element);
  EXPECT_TRUE((Encodable<std::map<int, std::string>::value_type>));
}

TEST(Codec, RefusesValuesThatNestWithoutEnd) {
  struct Chain {
    std::unique_ptr<Chain> next;
    void serialize(detail::Saver& archive) { archive(next); }
    void serialize(detail::Loader& archive) { archive(next); }
  };
  Chain chain;
  for (int i = 0; i < 100'000; ++i) {
    auto longer = std::make_unique<Chain>();
    longer->next = std::move(chain.next);
    chain.next = std::move(longer);
  }
  EXPECT_THROW((void)encoded(chain), Error);
  while (chain.next) chain.next = std::move(chain.next->next);
}

TEST(Codec, CopiesArraysInsideOtherTypesInOnePiece) {
  expect_written_as_one_array(std::vector<double>(100, 1.5));
  expect_written_as_one_array(std::vector<std::byte>(100, std::byte{7}));
  expect_written_as_one_array(std::vector<Colour>(100, Colour::red));
  expect_written_as_one_array(std::vector<Point>(100, Point{1, 2}));
}

TEST(Codec, BringsVectorsOfBoolBack) {
  expect_back(std::vector<bool>());
  std::vector<bool> bits(131);
  for (std::size_t i = 0; i < bits.size(); i += 3) bits[i] = true;
  expect_back(bits);
}

TEST(Codec, BringsAVectorBackThatIsLongerThanOneStep) {
  std::vector<int> numbers(3 * detail::kBulkStepBytes / sizeof(int) + 1);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i);
  expect_back(numbers);
}

TEST(Codec, BringsMapsBack) {
  expect_back(std::map<std::string, std::vector<int>>{{"", {}}, {"a", {1, 2}}});
  expect_back(std::unordered_map<int, std::string>{{1, "one"}, {2, "two"}});
  expect_back(std::map<int, std::map<int, Point>>{{1, {{2, {3, 4}}}}});
}

TEST(Codec, BringsTheOtherContainersBack) {
  expect_back(std::deque<std::string>{"a", "b"});
  expect_back(std::list<int>{3, 1, 2});
  expect_back(std::set<std::string>{"x", "y"});
  expect_back(std::multiset<int>{1, 1, 2});
  expect_back(std::multimap<int, std::string>{{1, "a"}, {1, "b"}, {0, "c"}});
  expect_back(std::unordered_set<int>{1, 2, 3});
  expect_back(std::unordered_multimap<int, int>{{1, 2}, {1, 3}});
  expect_back(std::vector<NoDefault>{NoDefault(1), NoDefault(2)});
}

TEST(Codec, BringsTuplesPairsArraysAndOptionalsBack) {
  expect_back(std::tuple<>());
  expect_back(std::tuple(1, std::string("two"), 3.0, Point{4, 5}));
  expect_back(std::pair(std::string("a"), Padded{'b', 1, 2}));
  expect_back(std::array{1, 2, 3});
  expect_back(std::array<std::string, 2>{"a", "bc"});
  expect_back(std::optional<int>());
  expect_back(std::optional(5));
  expect_back(std::optional(std::string("text")));
  expect_back(std::optional(Point{1, 2}));
}

TEST(Codec, BringsVariantsBack) {
  using Any = std::variant<int, std::string, Person>;
  expect_back(Any(7));
  expect_back(Any("text"));
  expect_back(Any(Person{"Bob", 44, {Colour::blue}}));
}

TEST(Codec, BringsUserTypesBack) {
  expect_back(Person{"Eve", 55, {Colour::red, Colour::blue}});
  expect_back(Inverse(4));
}

TEST(Codec, UsesTheSerializeOfATypeThatCouldBeCopied) {
  const Cached back = there_and_back(Cached{3, 9});
  EXPECT_EQ(back.value, 3);
  EXPECT_EQ(back.cache, 0);
}

TEST(Codec, BringsWhatAUniquePointerOwnsBack) {
  const auto person = there_and_back(std::make_unique<Person>(Person{"Eve", 55, {}}));
  ASSERT_NE(person, nullptr);
  EXPECT_EQ(person->name, "Eve");
  EXPECT_EQ(there_and_back(std::unique_ptr<Person>()), nullptr);
}

TEST(Codec, KeepsSharedOwnershipWithinOneValue) {
  const auto person = std::make_shared<Person>(Person{"Eve", 55, {}});
  const Siblings one = there_and_back(Siblings{person, person});
  ASSERT_NE(one.first, nullptr);
  EXPECT_EQ(one.first, one.second);
  EXPECT_EQ(one.first->name, "Eve");
  const Siblings two = there_and_back(Siblings{person, std::make_shared<Person>(*person)});
  EXPECT_NE(two.first, two.second);
  EXPECT_EQ(there_and_back(Siblings{nullptr, person}).first, nullptr);
}

TEST(Codec, KeepsSharedOwnershipAcrossTheElementsOfAContainer) {
  const auto person = std::make_shared<Person>(Person{"Eve", 55, {}});
  using Pair = std::pair<std::shared_ptr<Person>, std::vector<Siblings>>;
  const Pair back = there_and_back(Pair{person, {{person, nullptr}, {nullptr, person}}});
  ASSERT_NE(back.first, nullptr);
  EXPECT_EQ(back.second.at(0).first, back.first);
  EXPECT_EQ(back.second.at(1).second, back.first);
}

TEST(Codec, BringsBackWhatOnlyCerealCanReach) {
  expect_back(Versioned(7));
  expect_back(Named{"Ann", 3});
  expect_back(std::vector<Versioned>{Versioned(1), Versioned(2)});
}

TEST(Codec, BringsADerivedObjectBackThroughItsBase) {
  auto square = std::make_unique<Square>();
  square->side = 3;
  const std::unique_ptr<Shape> back = there_and_back(std::unique_ptr<Shape>(std::move(square)));
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->area(), 9);
}

TEST(Codec, CanBeTheUsers) {
  EXPECT_EQ(encoded(Celsius(36)), std::vector{std::byte{36}});
  EXPECT_EQ(there_and_back(Celsius(36)).degrees, 36);
  EXPECT_THROW(decoded<Celsius>(std::vector{std::byte{90}}), std::range_error);
}

TEST(Codec, CanBeTheUsersForAPlainStructToo) {
  EXPECT_EQ(encoded(Percent{0.5}), std::vector{std::byte{50}});
  EXPECT_EQ(there_and_back(Percent{0.5}).value, 0.5);
}

// Such a struct may hold a pointer, which its codec follows.
TEST(Codec, OfTheUsersIsNotPassedOverWithinAVector) {
  if constexpr (Encodable<std::vector<Percent>>) {
    EXPECT_EQ(encoded(std::vector<Percent>(3)).size(), sizeof(std::uint64_t) + 3);
  }
}

TEST(Codec, LeavesTheBytesOfTheNextValueAlone) {
  SpillWriter out({});
  Codec<std::string>::encode("one", out);
  Codec<Person>::encode(Person{"two", 2, {}}, out);
  Codec<int>::encode(3, out);
  const std::vector<std::byte> bytes = out.take();
  SpanReader in(bytes);
  EXPECT_EQ(Codec<std::string>::decode(in), "one");
  EXPECT_EQ(Codec<Person>::decode(in).name, "two");
  EXPECT_EQ(Codec<int>::decode(in), 3);
  EXPECT_TRUE(in.exhausted());
}

TEST(Codec, BringsDeepNestingBack) {
  const Chain back = there_and_back(chain(500));
  int length = 0;
  for (const Chain* link = &back; link != nullptr; link = link->next.get()) {
    EXPECT_EQ(link->number, length++);
  }
  EXPECT_EQ(length, 500);
}

}  // namespace
}  // namespace bulkhead
