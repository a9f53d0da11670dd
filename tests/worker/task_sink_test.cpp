// SPDX-License-Identifier: MIT
//
// Tasks on their way into an inbox, small and large, and what a reader makes of them.
#include "tests/support/percent.hpp"
#include <bulkhead/detail/task_sink.hpp>

#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead {

/// Its codec writes, then throws.
struct Unsendable {
  std::string text;
};
template <>
struct Codec<Unsendable> {
  static void encode(const Unsendable& value, ByteWriter& out) {
    Codec<std::string>::encode(value.text, out);
    throw std::runtime_error("cannot be sent");
  }
  static Unsendable decode(ByteReader& in) { return {Codec<std::string>::decode(in)}; }
};

namespace detail {
namespace {

using Peek = RingReader::Peek;

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Message {
  FrameHeader header;  ///< of the first piece
  std::vector<std::byte> payload;
  int pieces = 0;
};

/// An inbox of 4096 bytes, with a worker that reads whole messages.
struct Inbox {
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Takes the next frame into message(); true if it was the last one of its message.
  bool read_frame() {
    FrameHeader header;
    const std::byte* payload = nullptr;
    if (reader.peek(header, payload) != Peek::frame) return false;
    if (complete_) message_ = {header, {}, 0};
    message_.payload.insert(message_.payload.end(), payload, payload + header.length);
    ++message_.pieces;
    EXPECT_EQ(header.task, message_.header.task);
    EXPECT_EQ(header.callable, message_.header.callable);
    EXPECT_EQ(header.kind, FrameKind::task);
    complete_ = header.more == 0;
    reader.advance();
    reader.release();
    return complete_;
  }

  /// Publishes all that was put, then reads one message.
  const Message& deliver(TaskSink& sink) {
    writer.commit();
    return deliver(sink.large() ? &*sink.large() : nullptr);
  }
  const Message& deliver(LargeMessage* large) {
    bool sent = large == nullptr;
    for (int step = 0; step < 1'000'000; ++step) {
      if (!sent) sent = large->pump(writer);
      if (read_frame()) return message_;
    }
    ADD_FAILURE() << "the message did not come";
    return message_;
  }

  /// Fills the ring with frames until not even an empty one fits.
  void fill() {
    FrameHeader header;
    header.kind = FrameKind::task;
    for (const std::uint64_t size : {std::uint64_t{100}, std::uint64_t{0}}) {
      while (writer.reserve(size) != nullptr) {
        header.length = static_cast<std::uint32_t>(size);
        writer.finish(header);
      }
    }
    writer.commit();
  }

  /// Moves both ends of the empty ring to `offset`.
  void move_to(std::uint64_t offset) {
    FrameHeader header;
    header.kind = FrameKind::task;
    header.length = static_cast<std::uint32_t>(offset - kFrameHeaderBytes);
    ASSERT_NE(writer.reserve(header.length), nullptr);
    writer.finish(header);
    writer.commit();
    ASSERT_TRUE(read_frame());
  }

  std::vector<std::byte> data = std::vector<std::byte>(4096);
  Position tail{0};
  Position head{0};
  RingWriter writer{data.data(), data.size(), &tail, &head};
  RingReader reader{data.data(), data.size(), &tail, &head};

 private:
  Message message_;
  bool complete_ = true;
};

template <class T>
T decoded(const Message& message) {
  SpanReader in(message.payload);
  T value = Codec<T>::decode(in);
  EXPECT_TRUE(in.exhausted());
  return value;
}

/// Sends a value through a small inbox; `pieces` is how many frames that took.
template <class T>
T through_inbox(const T& value, int* pieces = nullptr) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(7, 42, value));
  const Message& message = inbox.deliver(sink);
  EXPECT_EQ(message.header.callable, 7U);
  EXPECT_EQ(message.header.task, 42U);
  if (pieces != nullptr) *pieces = message.pieces;
  return decoded<T>(message);
}

std::vector<int> numbers(std::size_t count) {
  std::vector<int> result(count);
  std::iota(result.begin(), result.end(), 0);
  return result;
}

TEST(TaskSink, CarriesPlainValues) {
  EXPECT_EQ(through_inbox(123456789), 123456789);
  EXPECT_EQ(through_inbox(Point{1.5, -2}), (Point{1.5, -2}));
}

TEST(TaskSink, CarriesStringsAndVectors) {
  EXPECT_EQ(through_inbox(std::string("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(through_inbox(std::vector<double>()), std::vector<double>());
  EXPECT_EQ(through_inbox(std::vector<Point>{{1, 2}, {3, 4}}),
            (std::vector<Point>{{1, 2}, {3, 4}}));
}

TEST(TaskSink, CarriesWhatCerealSerializes) {
  using Table = std::map<std::string, std::vector<std::string>>;
  const Table table{{"a", {"b", ""}}, {"", {}}};
  EXPECT_EQ(through_inbox(table), table);
}

TEST(TaskSink, EncodesAPlainTypeByTheCodecThatTheUserGaveIt) {
  EXPECT_EQ(through_inbox(Percent{0.5}).value, 0.5);
}

TEST(TaskSink, CarriesATaskWithoutAnArgument) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put_empty(3, 9));
  const Message& message = inbox.deliver(sink);
  EXPECT_TRUE(message.payload.empty());
  EXPECT_EQ(message.header.task, 9U);
  EXPECT_EQ(message.header.callable, 3U);
}

TEST(TaskSink, KeepsTheOrderOfTasks) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 0, std::string("zero")));
  EXPECT_TRUE(sink.put(1, 1, std::string("one")));
  EXPECT_TRUE(sink.put(2, 2, std::string("two")));
  EXPECT_EQ(decoded<std::string>(inbox.deliver(sink)), "zero");
  EXPECT_EQ(decoded<std::string>(inbox.deliver(sink)), "one");
  EXPECT_EQ(inbox.deliver(sink).header.callable, 2U);
}

TEST(TaskSink, PublishesNothingByItself) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 0, 5));
  EXPECT_FALSE(inbox.reader.pending());
}

// -------------------------------------------------------------------------------------------------
// Large values

TEST(TaskSink, SendsUpToAQuarterOfTheRingInOnePiece) {
  int pieces = 0;
  const std::string largest(1024 - sizeof(std::uint64_t), 'x');
  EXPECT_EQ(through_inbox(largest, &pieces), largest);
  EXPECT_EQ(pieces, 1);
  EXPECT_EQ(through_inbox(largest + "y", &pieces), largest + "y");
  EXPECT_EQ(pieces, 2);
}

TEST(TaskSink, SendsABulkValueLargerThanTheRingInPieces) {
  int pieces = 0;
  EXPECT_EQ(through_inbox(numbers(100'000), &pieces), numbers(100'000));
  EXPECT_GE(pieces, 400'000 / 1024);
}

TEST(TaskSink, SendsAPlainValueLargerThanTheRingInPieces) {
  const auto big = std::make_unique<std::array<int, 5000>>();
  std::iota(big->begin(), big->end(), 0);
  EXPECT_EQ(through_inbox(*big), *big);
}

TEST(TaskSink, SendsACerealValueLargerThanTheRingInPieces) {
  std::vector<std::string> words;
  for (int i = 0; i < 5000; ++i) words.push_back(std::to_string(i));
  int pieces = 0;
  EXPECT_EQ(through_inbox(words, &pieces), words);
  EXPECT_GT(pieces, 10);
}

TEST(TaskSink, SendsValuesOfEverySizeAroundThoseOfAPieceFromAnyPlace) {
  for (const std::uint64_t offset : {24U, 2000U, 3000U, 4064U, 4080U, 4096U}) {
    for (const std::size_t size : {511U, 512U, 513U, 1015U, 1016U, 1017U, 2039U, 2040U, 2041U}) {
      Inbox inbox;
      inbox.move_to(offset);
      TaskSink sink(inbox.writer);
      const std::string text(size, 't');
      ASSERT_TRUE(sink.put(1, 1, text));
      ASSERT_EQ(decoded<std::string>(inbox.deliver(sink)), text) << offset << " " << size;
    }
  }
}

TEST(TaskSink, TakesNothingBehindALargeValue) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 0, numbers(5000)));
  ASSERT_TRUE(sink.large());
  EXPECT_FALSE(sink.put(1, 1, 5));
  EXPECT_FALSE(sink.put(1, 1, std::map<int, int>()));
  EXPECT_FALSE(sink.put_empty(1, 1));
}

TEST(TaskSink, DoesNotCopyTheElementsOfALargeVector) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  std::vector<int> value = numbers(5000);
  EXPECT_TRUE(sink.put(1, 0, value));
  value.back() = -1;
  EXPECT_EQ(decoded<std::vector<int>>(inbox.deliver(sink)).back(), -1);
}

TEST(TaskSink, SendsASmallTaskBeforeALargeOne) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 0, 5));
  const std::vector<int> large = numbers(5000);
  EXPECT_TRUE(sink.put(1, 1, large));
  inbox.writer.commit();
  ASSERT_TRUE(inbox.read_frame());
  EXPECT_EQ(decoded<std::vector<int>>(inbox.deliver(sink)), large);
}

TEST(LargeMessage, WaitsWhileTheRingIsFull) {
  Inbox inbox;
  inbox.fill();
  const std::uint64_t before = inbox.writer.written();
  FrameHeader header;
  header.kind = FrameKind::task;
  LargeMessage message(header, std::vector<std::byte>(100));
  EXPECT_FALSE(message.pump(inbox.writer));
  EXPECT_EQ(inbox.writer.written(), before);
}

TEST(LargeMessage, WaitsWhileTheRingIsFullEvenIfItIsEmpty) {
  Inbox inbox;
  inbox.fill();
  const std::uint64_t before = inbox.writer.written();
  const std::vector<std::byte> data = inbox.data;
  FrameHeader header;
  header.kind = FrameKind::drop;
  LargeMessage message(header, {});
  EXPECT_FALSE(message.pump(inbox.writer));
  EXPECT_EQ(inbox.writer.written(), before);
  EXPECT_EQ(inbox.data, data);
}

TEST(LargeMessage, OfNothingIsOneEmptyFrame) {
  Inbox inbox;
  FrameHeader header;
  header.kind = FrameKind::task;
  header.task = 6;
  LargeMessage message(header, {});
  EXPECT_TRUE(message.pump(inbox.writer));
  ASSERT_TRUE(inbox.read_frame());
  EXPECT_EQ(inbox.reader.position(), frame_bytes(0));
}

TEST(LargeMessage, JoinsHeadAndTail) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> head(random() % 3000);
    std::vector<std::byte> tail(random() % 3000);
    for (std::byte& byte : head) byte = static_cast<std::byte>(random());
    for (std::byte& byte : tail) byte = static_cast<std::byte>(random());
    std::vector<std::byte> expected = head;
    expected.insert(expected.end(), tail.begin(), tail.end());

    Inbox inbox;
    FrameHeader header;
    header.kind = FrameKind::task;
    LargeMessage message(header, std::move(head), tail);
    ASSERT_EQ(inbox.deliver(&message).payload, expected) << "round " << round;
  }
}

TEST(LargeMessage, SurvivesAWorkerThatClaimsAnyPositionAtAll) {
  for (std::uint64_t claim = 0; claim < 1100; ++claim) {
    Inbox inbox;
    inbox.fill();
    inbox.head.store(claim);
    FrameHeader header;
    header.kind = FrameKind::task;
    LargeMessage message(header, std::vector<std::byte>(5000));
    // Were there no place for what room() promises, pump() would write to none.
    const std::uint64_t size = std::min(inbox.writer.room(1024), inbox.writer.inline_limit());
    RingWriter copy = inbox.writer;
    ASSERT_TRUE(size < 512 || copy.reserve(size) != nullptr) << "head " << claim;
    EXPECT_FALSE(message.pump(inbox.writer)) << "head " << claim;
  }
}

// -------------------------------------------------------------------------------------------------
// Refusals

TEST(TaskSink, RefusesWhenTheRingIsFullAndChangesNothing) {
  Inbox inbox;
  inbox.fill();
  const std::uint64_t before = inbox.writer.written();
  const std::vector<std::byte> data = inbox.data;
  TaskSink sink(inbox.writer);
  EXPECT_FALSE(sink.put(1, 1, 5));
  EXPECT_FALSE(sink.put(1, 1, std::string("text")));
  EXPECT_FALSE(sink.put(1, 1, std::map<int, int>{{1, 2}}));
  EXPECT_FALSE(sink.put_empty(1, 1));
  EXPECT_FALSE(sink.large());
  EXPECT_EQ(inbox.writer.written(), before);
  EXPECT_EQ(inbox.data, data);
}

TEST(TaskSink, TakesALargeValueEvenIfTheRingIsFull) {
  Inbox inbox;
  inbox.fill();
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 1, numbers(5000)));
  EXPECT_TRUE(sink.large());
}

TEST(TaskSink, GoesOnOnceThereIsRoomAgain) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  std::uint64_t accepted = 0;
  while (sink.put(1, accepted, std::string(100, 'x'))) ++accepted;
  EXPECT_GT(accepted, 20U);
  inbox.writer.commit();
  while (inbox.reader.pending()) ASSERT_TRUE(inbox.read_frame());
  EXPECT_TRUE(sink.put(1, accepted, std::string(100, 'x')));
}

TEST(TaskSink, LeavesTheRingAloneIfACodecThrows) {
  Inbox inbox;
  TaskSink sink(inbox.writer);
  EXPECT_THROW(sink.put(1, 0, Unsendable{"small"}), std::runtime_error);
  EXPECT_THROW(sink.put(1, 0, Unsendable{std::string(10'000, 'x')}), std::runtime_error);
  EXPECT_FALSE(sink.large());
  inbox.writer.commit();
  EXPECT_FALSE(inbox.reader.pending());
  EXPECT_TRUE(sink.put(1, 1, std::string("next")));
  EXPECT_EQ(decoded<std::string>(inbox.deliver(sink)), "next");
}

// A reader that was told of something must find a frame.
TEST(TaskSink, LeavesTheRingAloneIfACodecThrowsJustBeforeTheWrap) {
  Inbox inbox;
  inbox.move_to(3500);
  TaskSink sink(inbox.writer);
  EXPECT_THROW(sink.put(1, 0, Unsendable{"small"}), std::runtime_error);
  inbox.writer.commit();
  EXPECT_FALSE(inbox.reader.pending());
  EXPECT_TRUE(inbox.writer.empty());
}

TEST(TaskSink, PublishesNoPaddingAheadOfALargeValue) {
  Inbox inbox;
  inbox.move_to(3500);
  TaskSink sink(inbox.writer);
  EXPECT_TRUE(sink.put(1, 0, std::vector<std::string>(1000)));
  ASSERT_TRUE(sink.large());
  inbox.writer.commit();
  EXPECT_FALSE(inbox.reader.pending());
}

}  // namespace
}  // namespace detail
}  // namespace bulkhead
