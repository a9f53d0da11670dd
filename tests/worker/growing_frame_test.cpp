// SPDX-License-Identifier: MIT
//
// Frames that are published bit by bit, as the results of a run are: nothing is seen before it is
// published, nothing twice, and what a hostile writer makes of one is seen through.
#include "tests/support/ring_ends.hpp"
#include <bulkhead/detail/ring.hpp>

#include <cstring>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using Peek = RingReader::Peek;
using Numbers = std::vector<std::uint64_t>;

struct Ring : test::RingEnds {
  using RingEnds::RingEnds;

  /// Opens a frame with room for `cells` numbers. False if there is no room.
  bool open(std::uint64_t first, std::uint64_t cells) {
    result = writer.reserve(cells * 8);
    if (result == nullptr) return false;
    FrameHeader header;
    header.kind = FrameKind::values;
    header.more = 1;
    header.length = static_cast<std::uint32_t>(cells * 8);
    header.task = first;
    writer.open(header);
    filled = 0;
    return true;
  }
  void answer(std::uint64_t number) {
    std::memcpy(result + filled, &number, 8);
    filled += 8;
    tail.store(writer.open_at() + filled);
  }
  void close() { writer.close(filled); }

  /// Puts an ordinary frame.
  bool put(std::uint64_t task) {
    if (writer.reserve(0) == nullptr) return false;
    FrameHeader header;
    header.kind = FrameKind::thrown;
    header.task = task;
    writer.finish(header);
    writer.commit();
    return true;
  }

  /// The numbers that have come; of an ordinary frame its task, negated.
  std::optional<Numbers> take() {
    FrameHeader header;
    const std::byte* payload = nullptr;
    if (reader.peek(header, payload) != Peek::frame) return std::nullopt;
    Numbers numbers;
    if (header.kind == FrameKind::values) {
      numbers.resize(header.length / 8);
      std::memcpy(numbers.data(), payload, header.length);
      EXPECT_EQ(header.task + reader.offset() / 8, numbers[0]);
    } else {
      numbers.push_back(~header.task);
    }
    reader.advance();
    return numbers;
  }

  std::byte* result = nullptr;
  std::uint64_t filled = 0;
};

TEST(GrowingFrame, IsReadBitByBit) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(5, 4));
  EXPECT_EQ(ring.peek(), Peek::nothing);
  ring.answer(5);
  EXPECT_TRUE(ring.reader.pending());
  EXPECT_EQ(ring.take(), Numbers{5});
  EXPECT_FALSE(ring.reader.pending());
  EXPECT_EQ(ring.peek(), Peek::nothing);
  ring.answer(6);
  ring.answer(7);
  EXPECT_EQ(ring.take(), (Numbers{6, 7}));
  ring.answer(8);
  ring.close();
  EXPECT_EQ(ring.take(), Numbers{8});
  EXPECT_EQ(ring.reader.position(), ring.writer.written());
}

TEST(GrowingFrame, LooksTheSameUntilItIsSteppedOver) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(5, 4));
  ring.answer(5);
  EXPECT_EQ(ring.peek(), Peek::frame);
  EXPECT_EQ(ring.peek(), Peek::frame);
  EXPECT_EQ(ring.take(), Numbers{5});
}

TEST(GrowingFrame, ThatIsClosedEarlyEndsThere) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(5, 100));
  ring.answer(5);
  EXPECT_EQ(ring.take(), Numbers{5});
  ring.close();
  ASSERT_TRUE(ring.put(6));
  EXPECT_EQ(ring.take(), Numbers{~std::uint64_t{6}});
  ASSERT_TRUE(ring.open(7, 100));
  ring.answer(7);
  ring.close();
  ASSERT_TRUE(ring.put(8));
  EXPECT_EQ(ring.take(), Numbers{7}) << "closed before it was looked at";
  EXPECT_EQ(ring.take(), Numbers{~std::uint64_t{8}});
  EXPECT_EQ(ring.peek(), Peek::nothing);
}

TEST(GrowingFrame, ThatNothingWasPutIntoIsNone) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(5, 100));
  ring.close();
  ASSERT_TRUE(ring.put(5));
  EXPECT_EQ(ring.take(), Numbers{~std::uint64_t{5}});
}

TEST(GrowingFrame, KeepsItsBytesUntilItIsReadToItsEnd) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(0, 2));
  ring.answer(0);
  EXPECT_EQ(ring.take(), Numbers{0});
  ring.reader.release();
  EXPECT_EQ(ring.head.load(), 0U);
  ring.answer(1);
  ring.close();
  EXPECT_EQ(ring.take(), Numbers{1});
  ring.reader.release();
  EXPECT_TRUE(ring.writer.empty());
}

TEST(GrowingFrame, ThatShrinksBelowWhatWasReadIsCorrupt) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(0, 10));
  ring.answer(0);
  ring.answer(1);
  EXPECT_EQ(ring.take(), (Numbers{0, 1}));
  ring.writer.close(8);
  ring.writer.commit();
  ring.tail.store(400);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(GrowingFrame, ThatBecomesAnotherFrameHalfwayIsCorrupt) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(0, 10));
  ring.answer(0);
  EXPECT_EQ(ring.take(), Numbers{0});
  FrameHeader header;
  header.kind = FrameKind::value;
  header.length = 80;
  put_header(ring.data.data(), header, frame_check(header, 0));
  ring.answer(1);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(GrowingFrame, LongerThanTheRingIsCorrupt) {
  Ring ring(1024);
  ASSERT_TRUE(ring.open(0, 10));
  FrameHeader header;
  header.kind = FrameKind::values;
  header.more = 1;
  header.length = 1024;
  put_header(ring.data.data(), header, frame_check(header, 0));
  ring.answer(0);
  EXPECT_EQ(ring.peek(), Peek::corrupt);
}

TEST(GrowingFrame, LosesNoNumberInAnyMixture) {
  constexpr unsigned kSeed = 8;
  std::mt19937 random(kSeed);
  Ring ring(512);
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  bool is_open = false;
  for (int step = 0; step < 200'000; ++step) {
    switch (random() % 5) {
      case 0:
        if (is_open) ring.close();
        is_open = ring.open(written, 1 + random() % 12);
        break;
      case 1:
      case 2:
        if (is_open && ring.filled / 8 < 12 && ring.writer.open_at() != 0) {
          FrameHeader header;
          get_header(header, ring.result - kFrameHeaderBytes);
          if (ring.filled < header.length) ring.answer(written++);
        }
        break;
      case 3:
        if (is_open) ring.close();
        is_open = false;
        if (ring.put(written)) ++written;
        break;
      default:
        while (const auto numbers = ring.take()) {
          for (const std::uint64_t number : *numbers) {
            ASSERT_TRUE(number == read || number == ~read) << "step " << step;
            ++read;
          }
        }
        ASSERT_NE(ring.peek(), Peek::corrupt);
        ASSERT_EQ(read, written);
        ring.reader.release();
    }
  }
  EXPECT_GT(read, 10'000U);
}

}  // namespace
}  // namespace bulkhead::detail
