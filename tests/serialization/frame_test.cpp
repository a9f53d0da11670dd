// SPDX-License-Identifier: MIT
#include <bulkhead/detail/frame.hpp>

#include <cstring>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

FrameHeader checked(FrameHeader header) {
  header.check = frame_check(header, 0);
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
       kind <= static_cast<int>(FrameKind::leaves); ++kind) {
    header.kind = static_cast<FrameKind>(kind);
    const bool run = header.kind == FrameKind::tasks || header.kind == FrameKind::values;
    header.more = run ? 1 : 0;
    header.length = run ? 16 : 20;
    EXPECT_TRUE(frame_is_sound(checked(header), 0)) << "kind " << kind;
  }
}

TEST(Frame, OfARunHasWholeCells) {
  FrameHeader header = sound_header();
  header.kind = FrameKind::tasks;
  header.more = 2;
  header.length = 64;
  EXPECT_TRUE(frame_is_sound(checked(header), 0));
  EXPECT_EQ(run_length(header), 4U);
  header.length = 72;
  EXPECT_FALSE(frame_is_sound(checked(header), 0));
  header.more = 0;
  EXPECT_FALSE(frame_is_sound(checked(header), 0));
}

TEST(Frame, ThatGrowsIsSoundWhateverItsLength) {
  FrameHeader header = sound_header();
  header.kind = FrameKind::values;
  header.more = 1;
  header.length = 800;
  header = checked(header);
  header.length = 8;
  EXPECT_TRUE(frame_is_sound(header, 0));
  header.task += 1;
  EXPECT_FALSE(frame_is_sound(header, 0));
}

TEST(Frame, OfAnUnknownKindIsNotSoundEvenIfItChecks) {
  FrameHeader header = sound_header();
  for (const int kind : {0, static_cast<int>(FrameKind::leaves) + 1, 255}) {
    header.kind = static_cast<FrameKind>(kind);
    EXPECT_FALSE(frame_is_sound(checked(header), 0)) << "kind " << kind;
  }
}

TEST(Frame, WhoseMoreIsNotABooleanIsNotSoundEvenIfItChecks) {
  FrameHeader header = sound_header();
  header.more = 2;
  EXPECT_FALSE(frame_is_sound(checked(header), 0));
}

TEST(Frame, WithOneFieldChangedIsNotSound) {
  const auto changed = [](auto change) {
    FrameHeader header = sound_header();
    change(header);
    return frame_is_sound(header, 0);
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

TEST(Frame, IsSoundInItsPlaceOnly) {
  const FrameHeader header = sound_header();
  EXPECT_TRUE(frame_is_sound(header, 0));
  for (std::uint64_t lap = 4096; lap < 1 << 20; lap += 4096) {
    EXPECT_FALSE(frame_is_sound(header, lap)) << lap;
  }
}

using Packed = std::array<std::byte, kFrameHeaderBytes>;

Packed packed(const FrameHeader& header) {
  Packed bytes;
  put_header(bytes.data(), header, header.check);
  return bytes;
}

FrameHeader unpacked(const Packed& bytes) {
  FrameHeader header;
  get_header(header, bytes.data());
  return header;
}

TEST(Frame, ComesBackFromItsBytesWithEveryField) {
  const FrameHeader header = sound_header();
  const FrameHeader back = unpacked(packed(header));
  EXPECT_EQ(back.length, header.length);
  EXPECT_EQ(back.kind, header.kind);
  EXPECT_EQ(back.more, header.more);
  EXPECT_EQ(back.attempt, header.attempt);
  EXPECT_EQ(back.callable, header.callable);
  EXPECT_EQ(back.check, header.check);
  EXPECT_EQ(back.task, header.task);
}

TEST(Frame, WithAnySingleBitFlippedIsNotSound) {
  const Packed bytes = packed(sound_header());
  ASSERT_TRUE(frame_is_sound(unpacked(bytes), 0));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    Packed flipped = bytes;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(frame_is_sound(unpacked(flipped), 0)) << "bit " << bit;
  }
}

TEST(Frame, OfFreshOrScribbledMemoryIsNotSound) {
  Packed bytes{};
  EXPECT_FALSE(frame_is_sound(unpacked(bytes), 0));
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = random();
      std::memcpy(&bytes[at], &word, sizeof word);
    }
    ASSERT_FALSE(frame_is_sound(unpacked(bytes), 0)) << "round " << i;
  }
}

}  // namespace
}  // namespace bulkhead::detail
