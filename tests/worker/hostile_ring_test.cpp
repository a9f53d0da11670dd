// SPDX-License-Identifier: MIT
//
// A ring whose other side makes up positions and bytes: all of them are seen through.
#include "tests/support/message_ring.hpp"

#include <random>

namespace bulkhead::detail {
namespace {

using Peek = RingReader::Peek;
using Ring = test::MessageRing;

FrameHeader checked(FrameHeader header, std::uint64_t position = 0) {
  header.check = frame_check(header, position);
  return header;
}

FrameHeader task_frame(std::uint32_t length, std::uint64_t position = 0) {
  FrameHeader header;
  header.kind = FrameKind::task;
  header.length = length;
  return checked(header, position);
}

/// What a reader makes of a ring of 256 bytes that begins with such a header, published up to
/// `tail`.
Peek first_look(FrameHeader header, std::uint64_t tail) {
  Ring ring(256);
  ring.forge(0, header);
  ring.tail.store(tail);
  return ring.peek();
}

// -------------------------------------------------------------------------------------------------
// A reader that lies

TEST(RingWriter, TakesAHeadBeyondItsOwnPositionForUnmoved) {
  Ring ring(64);
  ASSERT_TRUE(ring.put(40));
  EXPECT_FALSE(ring.writer.corrupt());
  ring.head.store(72);
  EXPECT_EQ(ring.writer.reserve(0), nullptr);
  EXPECT_TRUE(ring.writer.corrupt());
  EXPECT_EQ(ring.writer.released(), 0U);
}

TEST(RingWriter, TakesAHeadThatGoesBackwardsForUnmoved) {
  Ring ring(256);
  ring.move_to(64);
  ASSERT_TRUE(ring.put(0));
  EXPECT_EQ(ring.writer.released(), 64U);
  ring.head.store(24);
  EXPECT_EQ(ring.writer.released(), 64U);
  EXPECT_TRUE(ring.writer.corrupt());
}

TEST(RingWriter, RemembersThatItsReaderLiedOnce) {
  Ring ring(256);
  ring.head.store(~std::uint64_t{0});
  EXPECT_TRUE(ring.writer.empty());
  ring.head.store(0);
  EXPECT_TRUE(ring.writer.empty());
  EXPECT_TRUE(ring.writer.corrupt());
}

TEST(RingWriter, NeverHandsOutPlacesOutsideItsDataWhateverTheHeadIs) {
  std::mt19937_64 random(3);
  Ring ring(256);
  for (int round = 0; round < 20'000; ++round) {
    const std::uint64_t near = ring.writer.written() - random() % 512 + 256;
    ring.head.store(random() % 8 == 0 ? random() : near);
    const std::uint64_t size = random() % 240;
    const std::byte* to = ring.writer.reserve(size);
    if (to == nullptr) continue;
    ASSERT_GE(to, ring.data.data() + kFrameHeaderBytes);
    ASSERT_LE(to + size, ring.data.data() + ring.data.size());
    FrameHeader header;
    header.length = static_cast<std::uint32_t>(size);
    ring.writer.finish(header);
  }
}

// -------------------------------------------------------------------------------------------------
// A writer that lies

TEST(RingReader, SeesThroughATailBeyondTheCapacity) {
  EXPECT_EQ(first_look(task_frame(0), 256 + 8), Peek::corrupt);
}

// Else a writer that publishes nothing but padding could keep peek() going for ever.
TEST(RingReader, SeesThroughATailBeyondWhatItHasReleased) {
  Ring ring(256);
  FrameHeader padding;
  padding.length = 256 - kFrameHeaderBytes;
  ring.forge(0, checked(padding));
  ring.tail.store(256);
  EXPECT_EQ(ring.peek(), Peek::nothing);
  ring.tail.store(512);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(RingReader, SeesThroughATailThatGoesBackwards) {
  Ring ring(256);
  ring.move_to(64);
  ring.tail.store(32);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(RingReader, SeesThroughAnUnalignedTail) {
  EXPECT_EQ(first_look(task_frame(1), frame_bytes(1) - 7), Peek::corrupt);
}

TEST(RingReader, SeesThroughATailWithinAHeader) {
  EXPECT_EQ(first_look(task_frame(0), 16), Peek::corrupt);
}

TEST(RingReader, SeesThroughATailWithinTheBytesThatAWrapSkips) {
  Ring ring(256);
  ring.move_to(240);
  ring.tail.store(248);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(RingReader, SeesThroughAFrameLongerThanWhatWasPublished) {
  EXPECT_EQ(first_look(task_frame(9), frame_bytes(8)), Peek::corrupt);
}

TEST(RingReader, SeesThroughAFrameOfTheLargestLengthThereIs) {
  EXPECT_EQ(first_look(task_frame(0xffffffff), 256), Peek::corrupt);
}

TEST(RingReader, SeesThroughAFrameBeyondTheEndOfTheData) {
  Ring ring(256);
  ring.move_to(200);
  ring.forge(200, task_frame(100, 200));
  ring.tail.store(200 + frame_bytes(100));
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(RingReader, SeesThroughABadCheckAndABadKind) {
  Ring ring(256);
  FrameHeader header = task_frame(0);
  ++header.check;
  ring.forge(0, header);
  ring.tail.store(24);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
  header.kind = static_cast<FrameKind>(77);
  ring.forge(0, checked(header));
  EXPECT_EQ(ring.peek(), Peek::corrupt);
  ring.forge(0, task_frame(0));
  EXPECT_EQ(ring.peek(), Peek::frame);
}

TEST(RingReader, SeesThroughPaddingLongerThanWhatWasPublished) {
  FrameHeader padding;
  padding.length = 100;
  EXPECT_EQ(first_look(checked(padding), 64), Peek::corrupt);
}

TEST(RingReader, SeesThroughFramesThatStayedBehindFromAnEarlierLap) {
  Ring ring(256);
  for (std::uint64_t task = 0; task < 8; ++task) {  // 32 bytes each: one lap
    ASSERT_TRUE(ring.put({task, "12345678"}));
    ring.writer.commit();
    ASSERT_TRUE(ring.take());
    ring.reader.release();
  }
  ring.tail.store(ring.tail + 64);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(RingReader, GivesOnlyPayloadsWithinItsDataWhateverTheBytesAre) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 5000; ++round) {
    Ring ring(256);
    std::uint64_t at = 0;  // sound headers of any length, wherever the one before says
    while (at + kFrameHeaderBytes <= 256) {
      FrameHeader header = task_frame(static_cast<std::uint32_t>(random() % 100));
      if (random() % 3 == 0) header.kind = FrameKind::padding;
      if (random() % 20 == 0) header.length = static_cast<std::uint32_t>(random());
      ring.forge(at, checked(header, at));
      at += frame_bytes(header.length);
    }
    ring.tail.store(random() % 33 * 8);
    FrameHeader header;
    const std::byte* payload = nullptr;
    while (ring.reader.peek(header, payload) == Peek::frame) {
      ASSERT_GE(payload, ring.data.data() + kFrameHeaderBytes);
      ASSERT_LE(payload + header.length, ring.data.data() + ring.data.size());
      ring.reader.advance();
    }
    EXPECT_LE(ring.reader.position(), ring.tail);
  }
}

}  // namespace
}  // namespace bulkhead::detail
