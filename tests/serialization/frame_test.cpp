// SPDX-License-Identifier: MIT
#include <bulkhead/detail/frame.hpp>

#include <cstring>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

FrameHeader checked(FrameHeader header) {
  header.check = frame_check(header);
  return header;
}

FrameHeader sound_header() {
  FrameHeader header;
  header.length = 100;
  header.kind = FrameKind::value;
  header.more = 1;
  header.attempt = 3;
  header.callable = 7;
  header.task = (std::uint64_t{1} << 40) + 5;
  return checked(header);
}

TEST(Frame, TakesItsHeaderAndItsPayloadRoundedUpToEight) {
  EXPECT_EQ(frame_bytes(0), 24U);
  EXPECT_EQ(frame_bytes(1), 32U);
  EXPECT_EQ(frame_bytes(8), 32U);
  EXPECT_EQ(frame_bytes(9), 40U);
}

TEST(Frame, OfTheLongestPayloadHasASizeThatDoesNotOverflow) {
  EXPECT_EQ(frame_bytes(std::numeric_limits<std::uint32_t>::max()), 24U + (std::uint64_t{1} << 32));
}

TEST(Frame, OfEveryKindIsSound) {
  FrameHeader header = sound_header();
  for (auto kind = static_cast<int>(FrameKind::padding);
       kind <= static_cast<int>(FrameKind::skipped); ++kind) {
    header.kind = static_cast<FrameKind>(kind);
    EXPECT_TRUE(frame_is_sound(checked(header))) << "kind " << kind;
  }
}

TEST(Frame, OfAnUnknownKindIsNotSoundEvenIfItChecks) {
  FrameHeader header = sound_header();
  for (const int kind : {0, static_cast<int>(FrameKind::skipped) + 1, 255}) {
    header.kind = static_cast<FrameKind>(kind);
    EXPECT_FALSE(frame_is_sound(checked(header))) << "kind " << kind;
  }
}

TEST(Frame, WhoseMoreIsNotABooleanIsNotSoundEvenIfItChecks) {
  FrameHeader header = sound_header();
  header.more = 2;
  EXPECT_FALSE(frame_is_sound(checked(header)));
}

TEST(Frame, WithOneFieldChangedIsNotSound) {
  const auto changed = [](auto change) {
    FrameHeader header = sound_header();
    change(header);
    return frame_is_sound(header);
  };
  EXPECT_TRUE(changed([](FrameHeader&) {}));
  EXPECT_FALSE(changed([](FrameHeader& header) { header.length = 101; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { header.kind = FrameKind::thrown; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { header.more = 0; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { header.attempt = 4; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { header.callable = 8; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { ++header.check; }));
  EXPECT_FALSE(changed([](FrameHeader& header) { ++header.task; }));
}

TEST(Frame, WithAnySingleBitFlippedIsNotSound) {
  const FrameHeader header = sound_header();
  for (std::size_t bit = 0; bit < 8 * sizeof header; ++bit) {
    unsigned char bytes[sizeof header];
    std::memcpy(bytes, &header, sizeof header);
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1U << (bit % 8)));
    FrameHeader flipped;
    std::memcpy(&flipped, bytes, sizeof flipped);
    EXPECT_FALSE(frame_is_sound(flipped)) << "bit " << bit;
  }
}

TEST(Frame, OfFreshOrScribbledMemoryIsNotSound) {
  FrameHeader header;
  std::memset(static_cast<void*>(&header), 0, sizeof header);
  EXPECT_FALSE(frame_is_sound(header));
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t at = 0; at < sizeof header; at += 8) {
      const std::uint64_t word = random();
      std::memcpy(reinterpret_cast<std::byte*>(&header) + at, &word, sizeof word);
    }
    ASSERT_FALSE(frame_is_sound(header)) << "round " << i;
  }
}

}  // namespace
}  // namespace bulkhead::detail
