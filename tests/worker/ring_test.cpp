// SPDX-License-Identifier: MIT
//
// Both ends of a ring on plain memory: what comes out is what went in.
#include "tests/support/message_ring.hpp"

#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using Peek = RingReader::Peek;
using test::Message;
using Ring = test::MessageRing;

// -------------------------------------------------------------------------------------------------
// Frames

TEST(Ring, IsEmptyAtFirst) {
  Ring ring(256);
  EXPECT_EQ(ring.peek(), Peek::nothing);
  EXPECT_FALSE(ring.reader.pending());
  EXPECT_TRUE(ring.writer.empty());
  EXPECT_EQ(ring.writer.written(), 0U);
}

TEST(Ring, GivesAFrameWithItsWholeHeader) {
  Ring ring(256);
  FrameHeader written;
  written.kind = FrameKind::value;
  written.length = 3;
  written.more = 1;
  written.attempt = 2;
  written.callable = 7;
  written.task = 1234567890123;
  std::memcpy(ring.writer.reserve(3), "abc", 3);
  ring.writer.finish(written);
  ring.writer.commit();

  FrameHeader read;
  const std::byte* payload = nullptr;
  ASSERT_EQ(ring.reader.peek(read, payload), Peek::frame);
  EXPECT_EQ(read.kind, written.kind);
  EXPECT_EQ(read.length, written.length);
  EXPECT_EQ(read.more, written.more);
  EXPECT_EQ(read.attempt, written.attempt);
  EXPECT_EQ(read.callable, written.callable);
  EXPECT_EQ(read.task, written.task);
  EXPECT_EQ(read.check, frame_check(written, 0));
  EXPECT_EQ(std::memcmp(payload, "abc", 3), 0);
}

TEST(Ring, ShowsTheSameFrameUntilItIsSteppedOver) {
  Ring ring(256);
  ring.put({1, "a"});
  ring.put({2, "b"});
  ring.writer.commit();
  EXPECT_EQ(ring.peek(), Peek::frame);
  EXPECT_EQ(ring.take(), (Message{1, "a"}));
  EXPECT_EQ(ring.take(), (Message{2, "b"}));
  EXPECT_EQ(ring.peek(), Peek::nothing);
}

TEST(Ring, CarriesEmptyPayloads) {
  Ring ring(64);
  EXPECT_TRUE(ring.put({1, ""}));
  EXPECT_TRUE(ring.put({2, ""}));
  EXPECT_FALSE(ring.put({3, ""}));
  ring.writer.commit();
  EXPECT_EQ(ring.take(), (Message{1, ""}));
  EXPECT_EQ(ring.take(), (Message{2, ""}));
}

TEST(Ring, HoldsOneFrameThatFillsItToTheLastByte) {
  Ring ring(256);
  const Message largest{5, std::string(256 - kFrameHeaderBytes, 'z')};
  ASSERT_TRUE(ring.put(largest));
  EXPECT_FALSE(ring.put(0));
  ring.writer.commit();
  EXPECT_EQ(ring.take(), largest);
  ring.reader.release();
  EXPECT_TRUE(ring.put(largest));
}

TEST(Ring, RefusesAFrameLargerThanItself) {
  Ring ring(256);
  EXPECT_EQ(ring.writer.reserve(256 - kFrameHeaderBytes + 1), nullptr);
  EXPECT_EQ(ring.writer.reserve(std::uint64_t{1} << 32), nullptr);
  EXPECT_TRUE(ring.put(0));
}

TEST(Ring, RefusesWhenFullAndChangesNothing) {
  Ring ring(256);
  std::uint64_t count = 0;
  while (ring.put({count, std::string(8, static_cast<char>('a' + count))})) ++count;
  ring.writer.commit();
  EXPECT_EQ(count, 8U);
  const std::vector<std::byte> before = ring.data;
  EXPECT_EQ(ring.writer.reserve(0), nullptr);
  EXPECT_EQ(ring.writer.reserve(100), nullptr);
  EXPECT_EQ(ring.data, before);
  EXPECT_EQ(ring.writer.written(), 256U);
  EXPECT_EQ(ring.tail, 256U);
  for (std::uint64_t task = 0; task < count; ++task) {
    EXPECT_EQ(ring.take(), (Message{task, std::string(8, static_cast<char>('a' + task))}));
  }
}

TEST(Ring, HidesFramesUntilTheyAreCommitted) {
  Ring ring(256);
  ring.put({1, "a"});
  ring.put({2, "b"});
  EXPECT_EQ(ring.peek(), Peek::nothing);
  EXPECT_FALSE(ring.reader.pending());
  ring.writer.commit();
  EXPECT_TRUE(ring.reader.pending());
  EXPECT_EQ(ring.take(), (Message{1, "a"}));
  EXPECT_EQ(ring.take(), (Message{2, "b"}));
  EXPECT_FALSE(ring.reader.pending());
}

TEST(Ring, ForgetsAFrameThatWasReservedButNotFinished) {
  Ring ring(256);
  ASSERT_NE(ring.writer.reserve(100), nullptr);
  ring.writer.commit();
  EXPECT_EQ(ring.peek(), Peek::nothing);
  ring.put({1, "a"});
  ring.writer.commit();
  EXPECT_EQ(ring.take(), (Message{1, "a"}));
}

TEST(Ring, GivesBackWhatWasReservedBeyondTheFinishedLength) {
  Ring ring(256);
  ASSERT_NE(ring.writer.reserve(200), nullptr);
  FrameHeader header;
  header.kind = FrameKind::task;
  header.length = 5;
  ring.writer.finish(header);
  EXPECT_EQ(ring.writer.written(), frame_bytes(5));
  EXPECT_TRUE(ring.put(150));
}

TEST(Ring, IsFreedByReleaseAloneNotByStepping) {
  Ring ring(64);
  ASSERT_TRUE(ring.put(40));
  ring.writer.commit();
  ASSERT_TRUE(ring.take());
  EXPECT_FALSE(ring.put(0));
  EXPECT_FALSE(ring.writer.empty());
  ring.reader.release();
  EXPECT_TRUE(ring.writer.empty());
  EXPECT_EQ(ring.writer.released(), 64U);
  EXPECT_TRUE(ring.put(40));
}

// -------------------------------------------------------------------------------------------------
// The wrap

TEST(Ring, PutsAPaddingFrameBeforeTheWrap) {
  Ring ring(256);
  ring.move_to(200);
  ASSERT_TRUE(ring.put({1, std::string(64, 'w')}));
  ring.writer.commit();
  FrameHeader padding;
  get_header(padding, ring.data.data() + 200);
  EXPECT_EQ(padding.kind, FrameKind::padding);
  EXPECT_EQ(frame_bytes(padding.length), 56U);
  EXPECT_TRUE(frame_is_sound(padding, 200));

  FrameHeader header;
  const std::byte* payload = nullptr;
  ASSERT_EQ(ring.reader.peek(header, payload), Peek::frame);
  EXPECT_EQ(payload, ring.data.data() + kFrameHeaderBytes);
  EXPECT_EQ(ring.take(), (Message{1, std::string(64, 'w')}));
}

TEST(Ring, LeavesNothingWhereNoHeaderFitsBeforeTheWrap) {
  for (const std::uint64_t offset : {232U, 240U, 248U}) {
    Ring ring(256);
    ring.move_to(offset);
    const std::vector<std::byte> before = ring.data;
    ASSERT_TRUE(ring.put({1, "abcdefgh"}));
    ring.writer.commit();
    if (offset > 232) {
      EXPECT_TRUE(std::equal(before.begin() + static_cast<std::ptrdiff_t>(offset), before.end(),
                             ring.data.begin() + static_cast<std::ptrdiff_t>(offset)));
    }
    EXPECT_EQ(ring.take(), (Message{1, "abcdefgh"})) << "offset " << offset;
    EXPECT_EQ(ring.writer.written(), 256 + frame_bytes(8));
  }
}

TEST(Ring, UsesTheBytesBeforeTheWrapForAFrameThatFitsExactly) {
  Ring ring(256);
  ring.move_to(200);
  ASSERT_TRUE(ring.put({1, std::string(56 - kFrameHeaderBytes, 'e')}));
  EXPECT_EQ(ring.writer.written(), 256U);
}

TEST(Ring, RefusesAFrameThatFitsButNotTogetherWithItsPadding) {
  Ring ring(256);
  ring.move_to(160);
  ASSERT_TRUE(ring.put(0));  // up to 184; 72 bytes before the wrap, 160 behind it
  const std::vector<std::byte> before = ring.data;
  EXPECT_EQ(ring.writer.reserve(160), nullptr);
  EXPECT_EQ(ring.data, before);
  EXPECT_EQ(ring.writer.written(), 184U);
  EXPECT_TRUE(ring.put(160 - kFrameHeaderBytes));
}

TEST(Ring, KeepsTheOrderOfEverythingOverManyLapsFromEveryOffset) {
  constexpr std::uint64_t kCapacity = 256;
  std::mt19937 random(1);
  for (std::uint64_t offset = 0; offset <= kCapacity; offset += offset == 0 ? 24 : 8) {
    Ring ring(kCapacity);
    ring.move_to(offset);
    std::deque<Message> model;
    std::uint64_t next = 0;
    for (int step = 0; step < 2000; ++step) {
      if (random() % 2 == 0) {
        const Message message{next, std::string(random() % 120, static_cast<char>(random()))};
        if (ring.put(message)) {
          model.push_back(message);
          ++next;
        }
        ring.writer.commit();
      } else {
        const std::optional<Message> message = ring.take();
        ASSERT_EQ(message.has_value(), !model.empty());
        if (message) {
          ASSERT_EQ(*message, model.front());
          model.pop_front();
        }
        if (random() % 3 == 0) ring.reader.release();
      }
    }
    EXPECT_GT(ring.writer.written(), 20 * kCapacity);
    EXPECT_FALSE(ring.writer.corrupt());
  }
}

// -------------------------------------------------------------------------------------------------
// room()

TEST(RingRoom, IsAllButAHeaderAtFirst) {
  Ring ring(256);
  EXPECT_EQ(ring.writer.room(1), 256 - kFrameHeaderBytes);
  EXPECT_EQ(ring.writer.room(256), 256 - kFrameHeaderBytes);
  EXPECT_EQ(ring.writer.inline_limit(), 64U);
}

TEST(RingRoom, StaysBeforeTheWrapIfThatIsEnough) {
  Ring ring(256);
  ring.move_to(200);
  EXPECT_EQ(ring.writer.room(32), 32U);
  EXPECT_EQ(ring.writer.room(33), 200 - kFrameHeaderBytes);
}

TEST(RingRoom, SeesWhatTheReaderHasReleasedMeanwhile) {
  Ring ring(256);
  ASSERT_TRUE(ring.put(256 - kFrameHeaderBytes));
  ring.writer.commit();
  EXPECT_EQ(ring.writer.room(1), 0U);
  ASSERT_TRUE(ring.take());
  ring.reader.release();
  EXPECT_EQ(ring.writer.room(1), 256 - kFrameHeaderBytes);
}

/// room() of the ring as it is, held against reserve().
void expect_room_to_be_what_can_be_reserved(Ring& ring) {
  const auto reservable = [&ring](std::uint64_t payload) {
    RingWriter copy = ring.writer;  // reserve() may pad; the ring itself is to stay as it is
    const std::vector<std::byte> data = ring.data;
    const bool reserved = copy.reserve(payload) != nullptr;
    ring.data = data;
    return reserved;
  };
  const std::uint64_t most = ring.writer.room(ring.writer.capacity());
  EXPECT_TRUE(most == 0 || reservable(most)) << most;
  EXPECT_FALSE(reservable(most + 1)) << most;
  for (const std::uint64_t enough : {1U, 64U, 200U}) {
    const std::uint64_t room = ring.writer.room(enough);
    EXPECT_TRUE(room == 0 || reservable(room)) << room << " as " << enough << " is enough";
    EXPECT_EQ(room >= enough, most >= enough) << enough;
  }
}

TEST(RingRoom, IsWhatCanBeReserved) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    Ring ring(512);
    for (int step = 0; step < 20; ++step) {
      ring.put(random() % 200);
      ring.writer.commit();
      if (random() % 2 == 0) (void)ring.take();
      ring.reader.release();
      expect_room_to_be_what_can_be_reserved(ring);
    }
  }
}

TEST(RingRoom, IsWhatCanBeReservedWhateverTheReaderClaimsToHaveReleased) {
  for (std::uint64_t claim = 0; claim <= 200; ++claim) {
    Ring ring(256);
    ASSERT_TRUE(ring.put(200 - kFrameHeaderBytes));
    ring.head.store(claim);
    const std::uint64_t room = ring.writer.room(256);
    if (room == 0) continue;
    EXPECT_NE(ring.writer.reserve(room), nullptr) << "head " << claim << ", room " << room;
  }
}

// -------------------------------------------------------------------------------------------------
// Two threads

std::size_t size_of(std::uint64_t task) {
  return static_cast<std::size_t>(task * 2654435761U % 97);
}
char letter_of(std::uint64_t task) {
  return static_cast<char>('a' + task % 26);
}

TEST(Ring, CarriesFramesFromOneThreadToAnother) {
  constexpr std::uint64_t kFrames = 50'000;
  Ring ring(1024);
  std::thread writer([&ring] {
    for (std::uint64_t task = 0; task < kFrames; ++task) {
      const Message message{task, std::string(size_of(task), letter_of(task))};
      while (!ring.put(message)) {
        ring.writer.commit();
        std::this_thread::yield();
      }
      if (task % 3 == 0) ring.writer.commit();
    }
    ring.writer.commit();
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t task = 0; task < kFrames;) {
    const std::optional<Message> message = ring.take();
    if (message) {
      wrong += *message != Message{task, std::string(size_of(task), letter_of(task))};
      ++task;
      if (task % 5 == 0) ring.reader.release();
    } else {
      ring.reader.release();
      std::this_thread::yield();
    }
  }
  writer.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(ring.peek(), Peek::nothing);
  EXPECT_FALSE(ring.writer.corrupt());
}

}  // namespace
}  // namespace bulkhead::detail
