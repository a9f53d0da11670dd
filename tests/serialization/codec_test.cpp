// SPDX-License-Identifier: MIT
//
// Values to bytes and back: what has a codec, that all of it comes back, and that bytes which
// nobody encoded do no harm.
#include <bulkhead/cereal.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/error.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
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

#include <cereal/types/base_class.hpp>
#include <cereal/types/polymorphic.hpp>
#include <gtest/gtest.h>

namespace bulkhead {

enum class Colour : std::uint8_t { red, green, blue };
enum Plain { kFirst = 1, kSecond = 2 };

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Padded {
  char letter = 0;
  double number = 0;
  std::uint16_t tail = 0;
  bool operator==(const Padded&) const = default;
};

struct Empty {
  bool operator==(const Empty&) const = default;
};

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  int number;
  bool operator==(const NoDefault&) const = default;
};

struct Person {
  std::string name;
  int age = 0;
  std::vector<Colour> favourites;
  bool operator==(const Person&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, age, favourites);
  }
};

/// Keeps 1 / value in its encoding: save() and load() differ.
class Inverse {
 public:
  Inverse() = default;
  explicit Inverse(double value) : value_(value) {}
  bool operator==(const Inverse&) const = default;

  template <class Archive>
  void save(Archive& archive) const {
    archive(1 / value_);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(value_);
    value_ = 1 / value_;
  }

 private:
  double value_ = 1;
};

/// Trivially copyable, but with a serialize() of its own, which forgets the cache.
struct Cached {
  int value = 0;
  int cache = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

struct Siblings {
  std::shared_ptr<Person> first;
  std::shared_ptr<Person> second;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(first, second);
  }
};

struct Chain {
  int number = 0;
  std::unique_ptr<Chain> next;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(number, next);
  }
};

struct Shape {
  virtual ~Shape() = default;
  [[nodiscard]] virtual double area() const = 0;
  template <class Archive>
  void serialize(Archive&) {}
};

struct Square : Shape {
  double side = 0;
  [[nodiscard]] double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Shape>(this), side);
  }
};

/// Private, and with a version: only cereal can call it.
class Versioned {
 public:
  Versioned() = default;
  explicit Versioned(int n) : text_(std::to_string(n)) {}
  bool operator==(const Versioned&) const = default;

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive, std::uint32_t version) {
    if (version == 3) archive(text_);
  }
  std::string text_;
};

/// Uses a wrapper of cereal's.
struct Named {
  std::string name;
  int age = 0;
  bool operator==(const Named&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(name), cereal::make_nvp("years", age));
  }
};

/// No codec: not trivially copyable, and unknown to cereal.
struct NoCodec {
  std::string text;
};

/// Has a codec of the user's: one byte, 20 to 60 degrees.
struct Celsius {
  explicit Celsius(double d) : degrees(d) {}
  double degrees;
};
template <>
struct Codec<Celsius> {
  static void encode(const Celsius& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value.degrees));
  }
  static Celsius decode(ByteReader& in) {
    const auto degrees = in.get<std::uint8_t>();
    if (degrees < 20 || degrees > 60) throw std::range_error("too cold or too hot");
    return Celsius(degrees);
  }
};

/// A plain struct with a codec of the user's: one byte.
struct Percent {
  double value = 0;
};
template <>
struct Codec<Percent> {
  static void encode(const Percent& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value.value * 100));
  }
  static Percent decode(ByteReader& in) { return {in.get<std::uint8_t>() / 100.0}; }
};

/// As large as a page, and no more than a few bytes once encoded.
struct Wide {
  std::array<double, 1024> scratch{};
  std::string name;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(name);
  }
};

}  // namespace bulkhead

CEREAL_REGISTER_TYPE(bulkhead::Square)
CEREAL_CLASS_VERSION(bulkhead::Versioned, 3)

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
std::vector<std::byte> encoded(const T& value) {
  SpillWriter out({});
  Codec<T>::encode(value, out);
  return out.take();
}

template <class T>
T decoded(std::span<const std::byte> bytes) {
  SpanReader in(bytes);
  return Codec<T>::decode(in);
}

template <class T>
T there_and_back(const T& value) {
  const std::vector<std::byte> bytes = encoded(value);
  SpanReader in(bytes);
  T result = Codec<T>::decode(in);
  EXPECT_TRUE(in.exhausted()) << in.available() << " bytes are left over";
  return result;
}

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

// -------------------------------------------------------------------------------------------------
// Bytes that nobody encoded

/// A size that no data has, as it stands before the elements of anything.
std::vector<std::byte> claim(std::uint64_t count, std::size_t bytes_that_follow) {
  std::vector<std::byte> bytes(sizeof count + bytes_that_follow);
  std::memcpy(bytes.data(), &count, sizeof count);
  return bytes;
}

// Were memory asked for, what is thrown would be a bad_alloc or a length_error.
template <class T>
void expect_huge_claims_to_be_refused() {
  constexpr std::uint64_t kOne = 1;
  for (const std::uint64_t count : {kOne << 60, (kOne << 61) + 1, ~std::uint64_t{0}}) {
    EXPECT_THROW(decoded<T>(claim(count, 64)), DecodeError) << count << " elements";
  }
}

TEST(Codec, RefusesHugeClaimsBeforeItAllocates) {
  expect_huge_claims_to_be_refused<std::string>();
  expect_huge_claims_to_be_refused<std::vector<char>>();
  expect_huge_claims_to_be_refused<std::vector<double>>();
  expect_huge_claims_to_be_refused<std::vector<Point>>();
  expect_huge_claims_to_be_refused<std::vector<bool>>();
  expect_huge_claims_to_be_refused<std::vector<std::string>>();
  expect_huge_claims_to_be_refused<std::vector<std::vector<double>>>();
  expect_huge_claims_to_be_refused<std::map<int, int>>();
  expect_huge_claims_to_be_refused<std::unordered_map<int, int>>();
  expect_huge_claims_to_be_refused<Person>();
}

TEST(Codec, RefusesOneElementMoreThanTheDataHolds) {
  EXPECT_EQ(decoded<std::vector<double>>(claim(4, 32)).size(), 4U);
  EXPECT_THROW(decoded<std::vector<double>>(claim(5, 32)), DecodeError);
  EXPECT_THROW(decoded<std::vector<double>>(claim(4, 31)), DecodeError);
}

/// Gives no more than 16 MiB at a time.
template <class T>
struct StingyAllocator {
  using value_type = T;
  StingyAllocator() = default;
  template <class U>
  explicit StingyAllocator(const StingyAllocator<U>&) {}
  T* allocate(std::size_t count) {
    if (count > (std::size_t{16} << 20) / sizeof(T)) throw std::bad_alloc();
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, std::size_t count) { std::allocator<T>().deallocate(memory, count); }
  bool operator==(const StingyAllocator&) const = default;
};

TEST(Codec, AsksForNoMoreMemoryThanTheDataCanFill) {
  EXPECT_THROW((decoded<std::vector<double, StingyAllocator<double>>>(claim(1 << 28, 64))),
               DecodeError);
  EXPECT_THROW(
      (decoded<std::vector<std::string, StingyAllocator<std::string>>>(claim(1 << 28, 64))),
      DecodeError);
}

TEST(Codec, AsksForNoMoreMemoryThanTheDataCanFillHoweverLargeAnElementIs) {
  EXPECT_THROW((decoded<std::vector<Wide, StingyAllocator<Wide>>>(claim(1 << 16, 64))),
               DecodeError);
}

Chain chain(int length) {
  Chain first;
  Chain* last = &first;
  for (int i = 1; i < length; ++i) {
    last->next = std::make_unique<Chain>();
    last = last->next.get();
    last->number = i;
  }
  return first;
}

TEST(Codec, BringsDeepNestingBack) {
  const Chain back = there_and_back(chain(500));
  int length = 0;
  for (const Chain* link = &back; link != nullptr; link = link->next.get()) {
    EXPECT_EQ(link->number, length++);
  }
  EXPECT_EQ(length, 500);
}

TEST(Codec, RefusesNestingThatWouldExhaustTheStack) {
  const std::vector<std::byte> endless(1'000'000, std::byte{1});
  EXPECT_THROW(decoded<Chain>(endless), DecodeError);
}

/// A page for each link, most of it on the stack while it is read.
struct WideChain {
  std::array<std::byte, 4096> scratch{};
  std::unique_ptr<WideChain> next;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(next);
  }
};

TEST(Codec, RefusesNestingThatIsNotDeepButWouldExhaustTheStack) {
  EXPECT_THROW(decoded<WideChain>(std::vector<std::byte>(3000, std::byte{1})), DecodeError);
  std::vector<std::byte> some(100, std::byte{1});
  some.back() = std::byte{0};
  EXPECT_NE(decoded<WideChain>(some).next, nullptr);
}

TEST(Codec, RefusesAVariantWhoseIndexHasNoAlternative) {
  using Any = std::variant<int, std::string>;
  std::vector<std::byte> bytes = encoded(Any(7));
  for (const std::int32_t index : {2, 1000, -1}) {
    std::memcpy(bytes.data(), &index, sizeof index);
    EXPECT_THROW(decoded<Any>(bytes), std::exception) << index;
  }
}

TEST(Codec, RefusesASharedPointerThatNothingWasSharedBy) {
  const std::vector<std::byte> bytes(64, std::byte{1});
  EXPECT_THROW(decoded<std::shared_ptr<int>>(bytes), std::exception);
}

TEST(Codec, DoesNotTakeASharedObjectForOneOfAnotherType) {
  using Both = std::tuple<std::shared_ptr<int>, std::shared_ptr<std::string>>;
  SpillWriter out({});
  out.put(std::uint32_t{0x80000001});  // here comes object 1
  out.put(12345);
  out.put(std::uint32_t{1});  // object 1 again
  EXPECT_THROW(decoded<Both>(out.take()), std::exception);
}

TEST(Codec, NeverMakesABoolThatIsNeitherTrueNorFalse) {
  const std::vector<std::byte> bytes{std::byte{2}};
  try {
    const bool value = decoded<bool>(bytes);
    unsigned char representation = 0;
    std::memcpy(&representation, &value, 1);
    EXPECT_LE(representation, 1);
  } catch (const DecodeError&) {
    SUCCEED();
  }
}

template <class T>
void expect_truncations_to_be_refused(const T& value) {
  const std::vector<std::byte> bytes = encoded(value);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A copy of its own, so that a sanitizer sees what is read beyond its end.
    const std::vector<std::byte> part(bytes.begin(),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decoded<T>(part), std::exception) << size << " of " << bytes.size() << " bytes";
  }
}

TEST(Codec, RefusesEveryTruncation) {
  const auto person = std::make_shared<Person>(Person{"Eve", 55, {Colour::red}});
  expect_truncations_to_be_refused(1234);
  expect_truncations_to_be_refused(Padded{'p', 2.5, 7});
  expect_truncations_to_be_refused(std::string("text"));
  expect_truncations_to_be_refused(std::vector<double>{1, 2, 3});
  expect_truncations_to_be_refused(std::vector<bool>{true, false, true});
  expect_truncations_to_be_refused(std::vector<std::string>{"a", "", "bcd"});
  expect_truncations_to_be_refused(std::map<std::string, int>{{"a", 1}, {"b", 2}});
  expect_truncations_to_be_refused(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
  expect_truncations_to_be_refused(std::tuple(1, std::string("x"), 2.0));
  expect_truncations_to_be_refused(std::optional(std::string("x")));
  expect_truncations_to_be_refused(std::variant<int, std::string>("x"));
  expect_truncations_to_be_refused(Siblings{person, person});
  expect_truncations_to_be_refused(chain(3));
}

TEST(Codec, RefusesATruncationWithinAnyStepOfALongVector) {
  const std::vector<std::byte> bytes = encoded(std::vector<int>(200'000));
  for (std::size_t size = 8; size < bytes.size(); size += 50'021) {
    EXPECT_THROW(decoded<std::vector<int>>(std::span(bytes).first(size)), DecodeError);
  }
}

/// Whatever the bytes are, there is a value or an exception.
template <class T>
void decode_mutations_of(const T& value) {
  constexpr unsigned kSeed = 4711;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const std::vector<std::byte> sound = encoded(value);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> bytes = sound;
    if (round % 3 == 0) bytes.resize(random() % 200);
    const std::size_t changes = round % 3 == 0 ? bytes.size() : 1 + random() % 4;
    for (std::size_t i = 0; i < changes && !bytes.empty(); ++i) {
      const bool small = random() % 2 == 0;
      bytes[random() % bytes.size()] = static_cast<std::byte>(small ? random() % 4 : random());
    }
    try {
      (void)decoded<T>(bytes);
    } catch (const std::exception&) {
      continue;
    }
  }
}

TEST(Codec, MakesOfRandomBytesAValueOrAnException) {
  const auto person = std::make_shared<Person>(Person{"Eve", 55, {Colour::red}});
  decode_mutations_of(std::string("text"));
  decode_mutations_of(std::vector<Point>(3));
  decode_mutations_of(std::vector<std::string>{"a", "", "bcd"});
  decode_mutations_of(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {2, 3}}});
  decode_mutations_of(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
  decode_mutations_of(std::vector<std::variant<int, std::string>>{1, "x", 2});
  decode_mutations_of(*person);
  decode_mutations_of(Siblings{person, person});
  decode_mutations_of(chain(5));
}

TEST(Codec, MakesOfRandomBytesForADerivedObjectAValueOrAnException) {
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.push_back(std::make_unique<Square>());
  shapes.push_back(std::make_unique<Square>());
  decode_mutations_of(shapes);
}

TEST(Codec, MakesOfRandomBytesForBooleansAValueOrAnException) {
  decode_mutations_of(std::vector<bool>{true, false, true});
  decode_mutations_of(std::vector<std::optional<int>>{1, std::nullopt, 3});
}

}  // namespace
}  // namespace bulkhead
