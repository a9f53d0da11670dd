// SPDX-License-Identifier: MIT
//
// Bytes that nobody encoded: they make a value or an exception, and do no harm.
#include "tests/serialization/codec_types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace bulkhead {
namespace {

using detail::SpillWriter;

/// As large as a page, and no more than a few bytes once encoded.
struct Wide {
  std::array<double, 1024> scratch{};
  std::string name;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(name);
  }
};

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

TEST(Decode, RefusesHugeClaimsBeforeItAllocates) {
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

TEST(Decode, RefusesOneElementMoreThanTheDataHolds) {
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

TEST(Decode, AsksForNoMoreMemoryThanTheDataCanFill) {
  EXPECT_THROW((decoded<std::vector<double, StingyAllocator<double>>>(claim(1 << 28, 64))),
               DecodeError);
  EXPECT_THROW(
      (decoded<std::vector<std::string, StingyAllocator<std::string>>>(claim(1 << 28, 64))),
      DecodeError);
}

TEST(Decode, AsksForNoMoreMemoryThanTheDataCanFillHoweverLargeAnElementIs) {
  EXPECT_THROW((decoded<std::vector<Wide, StingyAllocator<Wide>>>(claim(1 << 16, 64))),
               DecodeError);
}

TEST(Decode, RefusesNestingThatWouldExhaustTheStack) {
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

TEST(Decode, RefusesNestingThatIsNotDeepButWouldExhaustTheStack) {
  EXPECT_THROW(decoded<WideChain>(std::vector<std::byte>(3000, std::byte{1})), DecodeError);
  std::vector<std::byte> some(100, std::byte{1});
  some.back() = std::byte{0};
  EXPECT_NE(decoded<WideChain>(some).next, nullptr);
}

TEST(Decode, RefusesAVariantWhoseIndexHasNoAlternative) {
  using Any = std::variant<int, std::string>;
  std::vector<std::byte> bytes = encoded(Any(7));
  for (const std::int32_t index : {2, 1000, -1}) {
    std::memcpy(bytes.data(), &index, sizeof index);
    EXPECT_THROW(decoded<Any>(bytes), std::exception) << index;
  }
}

TEST(Decode, RefusesASharedPointerThatNothingWasSharedBy) {
  const std::vector<std::byte> bytes(64, std::byte{1});
  EXPECT_THROW(decoded<std::shared_ptr<int>>(bytes), std::exception);
}

TEST(Decode, DoesNotTakeASharedObjectForOneOfAnotherType) {
  using Both = std::tuple<std::shared_ptr<int>, std::shared_ptr<std::string>>;
  SpillWriter out({});
  out.put(std::uint32_t{0x80000001});  // here comes object 1
  out.put(12345);
  out.put(std::uint32_t{1});  // object 1 again
  EXPECT_THROW(decoded<Both>(out.take()), std::exception);
}

TEST(Decode, NeverMakesABoolThatIsNeitherTrueNorFalse) {
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

TEST(Decode, RefusesEveryTruncation) {
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

TEST(Decode, RefusesATruncationWithinAnyStepOfALongVector) {
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

TEST(Decode, MakesOfRandomBytesAValueOrAnException) {
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

TEST(Decode, MakesOfRandomBytesForADerivedObjectAValueOrAnException) {
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.push_back(std::make_unique<Square>());
  shapes.push_back(std::make_unique<Square>());
  decode_mutations_of(shapes);
}

TEST(Decode, MakesOfRandomBytesForBooleansAValueOrAnException) {
  decode_mutations_of(std::vector<bool>{true, false, true});
  decode_mutations_of(std::vector<std::optional<int>>{1, std::nullopt, 3});
}

}  // namespace
}  // namespace bulkhead
