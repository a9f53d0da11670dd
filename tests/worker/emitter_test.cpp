// SPDX-License-Identifier: MIT
//
// What is emitted comes into tables that share their memory, and is sealed when that is full.
#include "tests/support/sanitizer.hpp"
#include <bulkhead/detail/emitter.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

namespace bulkhead::detail {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::size_t kMib = std::size_t{1} << 20;

struct Plus {
  void operator()(std::uint64_t& sum, std::uint64_t&& more) const { sum += more; }
};

/// Tables whose seals are added up here.
class EmitterTest : public ::testing::Test {
 protected:
  using Seal = std::function<void()>;
  using ItsEmitter = Emitter<std::string, std::uint64_t, false, true, Plus, Seal>;

  void emit(std::string_view key) {
    emitter_(key, 1);
    ++expected_[std::string(key)];
    most_bytes_ = std::max(most_bytes_, tables_.bytes());
  }
  void seal() {
    ++seals_;
    const auto take = [this](auto& table) {
      table.walk(0, 0, [&](auto& slot) {
        const PackedKey key = slot.key.packed();
        sealed_[std::string(table.bytes_of(key))] += slot.value;
      });
    };
    take(tables_.tiny);
    take(tables_.others);
    tables_.clear();
  }
  void seal_the_last() {
    emitter_.flush();
    seal();
  }

  static constexpr std::size_t kSlotBytes = 3 * kMib;
  static constexpr std::size_t kKeyBytes = 1 * kMib;
  MapTables<std::uint64_t> tables_{kSlotBytes, kKeyBytes};
  Plus plus_;
  Seal seal_ = [this] { seal(); };
  Counters counters_;
  ItsEmitter emitter_{tables_, plus_, seal_, counters_};
  std::map<std::string, std::uint64_t> expected_;
  std::map<std::string, std::uint64_t> sealed_;
  std::size_t seals_ = 0;
  std::size_t most_bytes_ = 0;
};

TEST_F(EmitterTest, LosesNothingWhateverKeysComeWhen) {
  std::minstd_rand random(1);
  for (int phase = 0; phase < 9; ++phase) {
    const std::size_t longest = phase % 3 == 0 ? 7 : phase % 3 == 1 ? 15 : 60;
    for (int i = 0; i < 25'000; ++i) {
      const std::string number = std::to_string(random() % 200'000);
      emit(number +
           std::string(random() % 2 == 0 ? 0 : longest - std::min(longest, number.size()), 'x'));
    }
  }
  seal_the_last();
  EXPECT_EQ(sealed_, expected_);
  EXPECT_GT(seals_, 1U);
  EXPECT_LE(most_bytes_, kSlotBytes + kKeyBytes + 2 * kMib) << "long keys may always have a page";
}

TEST_F(EmitterTest, KeysOfOneKindHaveNearlyAllOfTheMemory) {
  // With 16 bytes for each in nine tenths of the slots; other keys have some, too.
  constexpr std::size_t kFits = (kSlotBytes + kKeyBytes / 2) / 16 * 9 / 10 - 10'000;
  for (std::size_t i = 0; i < kFits; ++i) emit(std::to_string(i));
  EXPECT_EQ(seals_, 0U);
  for (std::size_t i = 0; i < 2000; ++i)
    emit("another " + std::to_string(i) + std::string(100, ' '));
  seal_the_last();
  EXPECT_EQ(sealed_, expected_);
  EXPECT_LE(seals_, 3U);
}

TEST_F(EmitterTest, WhetherALongKeyHasRoomDoesNotDependOnWhatCameBefore) {
  const std::string fits(tables_.longest_key(), 'f');
  const std::string too_long(tables_.longest_key() + 1, 't');
  const auto emit_both = [&] {
    emit(fits);
    EXPECT_THAT([&] { emitter_(too_long, 1); },
                ThrowsMessage<Error>(HasSubstr("is too large for the memory of a keyed job")));
  };
  emit_both();
  for (std::size_t i = 0; i < 210'000; ++i) emit(std::to_string(i));
  emit_both();
  for (std::size_t i = 0; i < 30'000; ++i) emit("of eight or more bytes " + std::to_string(i));
  emit_both();
  seal_the_last();
  EXPECT_EQ(sealed_, expected_);
}

TEST_F(EmitterTest, LongKeysHaveWhatSlotsHaveLeft) {
  std::size_t bytes = 0;
  for (int i = 0; bytes < 3 * kKeyBytes; ++i) {
    const std::string key = std::to_string(i) + std::string(1000, 'k');
    emit(key);
    bytes += key.size();
  }
  EXPECT_EQ(seals_, 0U);
  seal_the_last();
  EXPECT_EQ(sealed_, expected_);
}

/// Bytes of this process's own memory.
std::size_t own_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) << 10;
  }
  return 0;
}

TEST(MapTables, GiveBackWhatKeysOfOtherKindsHaveTaken) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  constexpr std::size_t kAll = 32 * kMib;
  MapTables<std::uint64_t> tables(kAll / 4 * 3, kAll / 4);
  Plus plus;
  const std::function<void()> seal = [&] { tables.clear(); };
  Counters counters;
  Emitter<std::string, std::uint64_t, false, true, Plus, std::function<void()>> emitter(
      tables, plus, seal, counters);
  const std::size_t before = own_memory();
  std::uint64_t next = 0;
  for (const std::size_t length : {7U, 40U, 12U, 70U, 7U, 12U}) {
    std::string key(length, 'k');
    for (std::uint64_t i = 0; i < 1'200'000; ++i, ++next) {
      // Again and again, as else tables stay small.
      const std::uint64_t number = next / 3 * 0x9E37'79B9'7F4A'7C15;
      std::memcpy(key.data(), &number, 7);
      emitter(key, 1);
      if (i % 100'000 != 0) continue;
      ASSERT_LT(own_memory() - before, kAll + 8 * kMib) << length;
    }
  }
}

}  // namespace
}  // namespace bulkhead::detail
