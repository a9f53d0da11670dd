// SPDX-License-Identifier: MIT
//
// Values for which there is no memory, on either side: the task fails and the pool goes on.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/pool.hpp>

#include <cstddef>
#include <fstream>
#include <new>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// A value of so many MiB, which nobody has in memory at once.
struct Flood {
  std::size_t mebibytes = 0;
};

}  // namespace

template <>
struct Codec<Flood> {
  static void encode(const Flood& flood, ByteWriter& out) {
    const std::vector<std::byte> piece(kMiB);
    out.put(flood.mebibytes);
    for (std::size_t i = 0; i < flood.mebibytes; ++i) out.write(piece.data(), piece.size());
  }
  static Flood decode(ByteReader& in) {
    std::vector<std::byte> piece(kMiB);
    const Flood flood{in.get<std::size_t>()};
    for (std::size_t i = 0; i < flood.mebibytes; ++i) in.read(piece.data(), piece.size());
    return flood;
  }
};

namespace {

using test::in_fork;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ScarceMemoryTest = test::ProcessTest;

int same(int x) {
  return x;
}

void limit_address_space(std::size_t bytes) {
  const rlimit both{bytes, bytes};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &both), 0);
}

std::size_t address_space_in_use() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct Chunks {
  std::vector<std::string> texts;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(texts);
  }
};

// Row 184: mem-parent. One that arrives in one array, and one that is collected before.
TEST_F(ScarceMemoryTest, AResultForWhichTheCallerHasNoMemoryFailsItsTaskOnly) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer needs unlimited address space";
  in_fork([] {
    Pool pool(2);
    EXPECT_EQ(pool.apply(same, 1), 1);
    const auto array = [](int x) {
      return std::vector<char>(static_cast<std::size_t>(x == 3 ? 400'000'000 : 1000), 'a');
    };
    const auto chunks = [](int x) {
      return Chunks{std::vector<std::string>(x == 3 ? 400 : 1, std::string(1'000'000, 'c'))};
    };
    limit_address_space(address_space_in_use() + 100 * kMiB);
    const auto arrays = pool.try_map(array, test::numbers(0, 10));
    ASSERT_THAT(arrays, SizeIs(10));
    const auto collected = pool.try_map(chunks, test::numbers(0, 10));
    ASSERT_THAT(collected, SizeIs(10));
    for (int x = 0; x < 10; ++x) {
      const auto i = static_cast<std::size_t>(x);
      EXPECT_EQ(arrays[i].has_value(), x != 3);
      EXPECT_EQ(collected[i].has_value(), x != 3);
    }
    EXPECT_THAT(arrays[3].failure().what(), HasSubstr("bad_alloc"));
    EXPECT_THAT(collected[3].failure().what(), HasSubstr("bad_alloc"));
    EXPECT_THROW((void)pool.map(array, std::vector{3}), std::bad_alloc);
    EXPECT_EQ(pool.apply(same, 5), 5);
  });
}

// Row 91: ring-too-big. There is no largest value; what is too large for the caller's own memory
// is an error of its task, before anything of it is sent.
TEST_F(ScarceMemoryTest, AnArgumentForWhichTheCallerHasNoMemoryFailsItsTaskOnly) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer needs unlimited address space";
  in_fork([] {
    Pool pool(2);
    const auto size = [](const Flood& flood) { return static_cast<int>(flood.mebibytes); };
    std::vector<Flood> arguments(10, Flood{2});
    EXPECT_EQ(pool.map(size, arguments), std::vector<int>(10, 2));
    arguments[3].mebibytes = 400;
    limit_address_space(address_space_in_use() + 100 * kMiB);
    const auto outcomes = pool.try_map(size, arguments);
    ASSERT_THAT(outcomes, SizeIs(10));
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(outcomes[i].value_or(-1), i == 3 ? -1 : 2);
    EXPECT_THAT(outcomes[3].failure().what(), HasSubstr("bad_alloc"));
    EXPECT_THROW((void)pool.map(size, std::vector{Flood{400}}), std::bad_alloc);
    EXPECT_EQ(pool.map(size, std::vector{Flood{2}}), std::vector{2});
  });
}

TEST_F(ScarceMemoryTest, AnArgumentForWhichTheWorkerHasNoMemoryFailsItsTaskOnly) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer needs unlimited address space";
  Pool pool(Options{.workers = 1, .initializer = [] {
                      limit_address_space(address_space_in_use() + 50 * kMiB);
                    }});
  const pid_t worker = pool.apply(::getpid);
  std::vector<std::vector<char>> arguments(5, std::vector<char>(1000));
  arguments[2].resize(200'000'000);
  const auto size = [](const std::vector<char>& bytes) { return bytes.size(); };
  const auto outcomes = pool.try_map(size, arguments);
  ASSERT_THAT(outcomes, SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(outcomes[i].has_value(), i != 2) << i;
  EXPECT_THAT(outcomes[2].failure().what(), HasSubstr("bad_alloc"));
  EXPECT_EQ(pool.apply(::getpid), worker);
}

// Row 115: task-memhog.
TEST_F(ScarceMemoryTest, ATaskThatAsksForTooMuchFailsAndItsWorkerLives) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer needs unlimited address space";
  Pool pool(Options{.workers = 1, .initializer = [] {
                      limit_address_space(address_space_in_use() + 50 * kMiB);
                    }});
  const pid_t worker = pool.apply(::getpid);
  const auto hog = [](int x) {
    return std::vector<char>(static_cast<std::size_t>(x) * 100'000'000).size();
  };
  const auto outcomes = pool.try_map(hog, test::numbers(0, 3));
  EXPECT_TRUE(outcomes[0]);
  EXPECT_FALSE(outcomes[1]);
  EXPECT_THROW((void)pool.map(hog, std::vector{5}), std::bad_alloc);
  EXPECT_EQ(pool.apply(::getpid), worker);
}

}  // namespace
}  // namespace bulkhead
