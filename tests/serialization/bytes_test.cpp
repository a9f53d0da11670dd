// SPDX-License-Identifier: MIT
#include <bulkhead/bytes.hpp>
#include <bulkhead/error.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

using detail::SpillWriter;

std::vector<std::byte> counting(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

std::vector<std::byte> taken(ByteReader& in, std::size_t size) {
  std::vector<std::byte> bytes(size);
  in.read(bytes.data(), size);
  return bytes;
}

template <class Step>
std::string decode_error_of(Step step) {
  try {
    step();
  } catch (const DecodeError& error) {
    return error.what();
  }
  return "no DecodeError";
}

/// A message that comes in pieces, some of them empty.
class PieceReader final : public ByteReader {
 public:
  explicit PieceReader(std::vector<std::vector<std::byte>> pieces) : pieces_(std::move(pieces)) {}

 private:
  [[nodiscard]] std::uint64_t remaining() const override {
    std::uint64_t left = available();
    for (std::size_t i = next_; i < pieces_.size(); ++i) left += pieces_[i].size();
    return left;
  }
  bool more() override {
    while (at_ == end_ && next_ < pieces_.size()) {
      const std::vector<std::byte>& piece = pieces_[next_++];
      at_ = piece.data();
      end_ = piece.data() + piece.size();
    }
    return at_ != end_;
  }

  std::vector<std::vector<std::byte>> pieces_;
  std::size_t next_ = 0;
};

// -------------------------------------------------------------------------------------------------
// SpanReader

TEST(SpanReader, GivesTheBytesInOrder) {
  const auto bytes = counting(5);
  SpanReader in(bytes);
  EXPECT_EQ(taken(in, 2), (std::vector{bytes[0], bytes[1]}));
  EXPECT_EQ(in.available(), 3U);
  EXPECT_EQ(taken(in, 3), (std::vector{bytes[2], bytes[3], bytes[4]}));
  EXPECT_TRUE(in.exhausted());
}

TEST(SpanReader, OfNothingIsExhaustedAndGivesNoBytesToNowhere) {
  SpanReader in({});
  EXPECT_TRUE(in.exhausted());
  in.read(nullptr, 0);
  EXPECT_EQ(in.available(), 0U);
}

TEST(SpanReader, IsNotExhaustedBeforeTheLastByte) {
  const auto bytes = counting(1);
  SpanReader in(bytes);
  EXPECT_FALSE(in.exhausted());
  (void)in.get<std::uint8_t>();
  EXPECT_TRUE(in.exhausted());
}

TEST(SpanReader, SaysHowManyBytesAreMissing) {
  const auto bytes = counting(3);
  SpanReader in(bytes);
  EXPECT_EQ(decode_error_of([&] { (void)in.get<std::uint64_t>(); }),
            "the data ends 5 bytes too early; writer and reader do not agree on the type");
}

TEST(SpanReader, GivesNothingAfterItRanOut) {
  const auto bytes = counting(3);
  SpanReader in(bytes);
  EXPECT_THROW((void)in.get<std::uint64_t>(), DecodeError);
  EXPECT_THROW((void)in.get<std::uint8_t>(), DecodeError);
}

TEST(SpanReader, ReadsValuesFromUnalignedPlaces) {
  std::array<std::byte, 9> bytes{};
  const std::uint64_t written = 0x0123456789abcdef;
  std::memcpy(bytes.data() + 1, &written, sizeof written);
  SpanReader in(bytes);
  (void)in.get<std::uint8_t>();
  EXPECT_EQ(in.get<std::uint64_t>(), written);
}

TEST(SpanReader, ExpectsWhatTheRemainingBytesCanHold) {
  const auto bytes = counting(20);
  SpanReader in(bytes);
  EXPECT_NO_THROW(in.expect(0, 8));
  EXPECT_NO_THROW(in.expect(2, 8));
  EXPECT_NO_THROW(in.expect(20, 1));
  EXPECT_THROW(in.expect(3, 8), DecodeError);
  EXPECT_THROW(in.expect(21, 1), DecodeError);
}

TEST(SpanReader, ExpectsOnlyWhatHasNotBeenRead) {
  const auto bytes = counting(16);
  SpanReader in(bytes);
  (void)in.get<std::uint64_t>();
  EXPECT_NO_THROW(in.expect(1, 8));
  EXPECT_THROW(in.expect(2, 8), DecodeError);
}

TEST(SpanReader, IsNotFooledByCountsWhoseBytesOverflow) {
  const auto bytes = counting(16);
  SpanReader in(bytes);
  // 2^61 + 1 elements of 8 bytes are 8 bytes modulo 2^64.
  EXPECT_THROW(in.expect((std::uint64_t{1} << 61) + 1, 8), DecodeError);
  EXPECT_THROW(in.expect(std::numeric_limits<std::uint64_t>::max(), 1), DecodeError);
  EXPECT_THROW(in.expect(1, std::numeric_limits<std::size_t>::max()), DecodeError);
}

TEST(SpanReader, SaysWhatWasClaimedAndWhatIsLeft) {
  const auto bytes = counting(16);
  const SpanReader in(bytes);
  EXPECT_EQ(decode_error_of([&] { in.expect(1000, 8); }),
            "the data claims 1000 elements of at least 8 bytes, but only 16 bytes are left; writer "
            "and reader do not agree on the type");
}

// -------------------------------------------------------------------------------------------------
// A reader that gets its message in pieces

TEST(ByteReader, ReadsAcrossPieces) {
  const auto bytes = counting(30);
  PieceReader in({{bytes.begin(), bytes.begin() + 3},
                  {},
                  {bytes.begin() + 3, bytes.begin() + 4},
                  {bytes.begin() + 4, bytes.end()}});
  EXPECT_EQ(taken(in, 30), bytes);
  EXPECT_TRUE(in.exhausted());
}

TEST(ByteReader, IsExhaustedIfOnlyEmptyPiecesFollow) {
  PieceReader in({{}, counting(1), {}, {}});
  EXPECT_FALSE(in.exhausted());
  (void)in.get<std::uint8_t>();
  EXPECT_TRUE(in.exhausted());
}

TEST(ByteReader, ThrowsAtTheEndOfTheLastPiece) {
  PieceReader in({counting(3), counting(2)});
  EXPECT_EQ(decode_error_of([&] { taken(in, 9); }),
            "the data ends 4 bytes too early; writer and reader do not agree on the type");
}

TEST(ByteReader, ExpectsWhatAllPiecesCanHold) {
  const PieceReader in({counting(3), counting(5)});
  EXPECT_NO_THROW(in.expect(1, 8));
  EXPECT_THROW(in.expect(9, 1), DecodeError);
}

// -------------------------------------------------------------------------------------------------
// SpillWriter

TEST(SpillWriter, KeepsWhatFitsExactlyInTheGivenMemory) {
  std::array<std::byte, 16> memory{};
  const auto bytes = counting(16);
  SpillWriter out(memory);
  out.write(bytes.data(), 10);
  out.write(bytes.data() + 10, 6);
  EXPECT_FALSE(out.spilled());
  EXPECT_EQ(out.size(), 16U);
  EXPECT_TRUE(std::equal(memory.begin(), memory.end(), bytes.begin()));
}

TEST(SpillWriter, SpillsWithTheFirstByteTooMany) {
  std::array<std::byte, 16> memory{};
  const auto bytes = counting(17);
  SpillWriter out(memory);
  out.write(bytes.data(), 16);
  out.write(bytes.data() + 16, 1);
  EXPECT_TRUE(out.spilled());
  EXPECT_EQ(out.size(), 17U);
  EXPECT_EQ(out.take(), bytes);
}

TEST(SpillWriter, SpillsAWriteThatBeginsInTheGivenMemory) {
  std::array<std::byte, 16> memory{};
  const auto bytes = counting(100);
  SpillWriter out(memory);
  out.write(bytes.data(), 5);
  out.write(bytes.data() + 5, 95);
  EXPECT_EQ(out.take(), bytes);
}

TEST(SpillWriter, LeavesWhatLiesBehindTheGivenMemoryAlone) {
  std::array<std::byte, 17> memory{};
  memory[16] = std::byte{0xee};
  const auto bytes = counting(40);
  SpillWriter out({memory.data(), 16});
  for (const std::byte byte : bytes) out.put(byte);
  EXPECT_EQ(memory[16], std::byte{0xee});
  EXPECT_EQ(out.take(), bytes);
}

TEST(SpillWriter, GrowsAgainAndAgain) {
  std::array<std::byte, 8> memory{};
  const auto bytes = counting(200'000);
  SpillWriter out(memory);
  for (std::size_t at = 0, step = 1; at < bytes.size(); at += step, step += 3) {
    out.write(bytes.data() + at, std::min(step, bytes.size() - at));
  }
  EXPECT_EQ(out.size(), bytes.size());
  EXPECT_EQ(out.take(), bytes);
}

TEST(SpillWriter, TakesOneWriteThatIsMuchLargerThanWhatItHas) {
  const auto bytes = counting(50'000);
  SpillWriter out({});
  out.write(bytes.data(), 1);
  out.write(bytes.data() + 1, bytes.size() - 1);
  EXPECT_EQ(out.take(), bytes);
}

TEST(SpillWriter, TakesNothingFromNowhere) {
  SpillWriter out({});
  out.write(nullptr, 0);
  EXPECT_EQ(out.size(), 0U);
  EXPECT_FALSE(out.spilled());
  EXPECT_TRUE(out.take().empty());
}

TEST(SpillWriter, DoesNotSpillForAnEmptyWriteWhenItIsFull) {
  std::array<std::byte, 4> memory{};
  SpillWriter out(memory);
  out.put(std::uint32_t{7});
  out.write(nullptr, 0);
  EXPECT_FALSE(out.spilled());
  EXPECT_EQ(out.size(), 4U);
}

TEST(SpillWriter, PutsTheObjectRepresentation) {
  std::array<std::byte, 8> memory{};
  SpillWriter out(memory);
  out.put(3.25);
  SpanReader in(memory);
  EXPECT_EQ(in.get<double>(), 3.25);
}

}  // namespace
}  // namespace bulkhead
