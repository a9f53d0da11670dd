// SPDX-License-Identifier: MIT
#include "serialization/replay_record.hpp"

#include "serialization/checksum.hpp"
#include <bulkhead/error.hpp>

#include <cstring>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(7 * i);
  return bytes;
}

ReplayRecord some_record() {
  return {12345,          3, "task 12345 crashed", "/bin/program", "/lib/module.so", some_bytes(40),
          some_bytes(100)};
}

std::vector<std::byte> with_check(std::vector<std::byte> bytes) {
  Checksum sum;
  sum.add(bytes);
  const std::uint64_t check = sum.value();
  const auto* from = reinterpret_cast<const std::byte*>(&check);
  bytes.insert(bytes.end(), from, from + sizeof check);
  return bytes;
}

std::vector<std::byte> file_of(const ReplayRecord& record) {
  SpillWriter out({});
  write_replay_head(record, out);
  out.write(record.argument.data(), record.argument.size());
  return with_check(out.take());
}

std::string complaint_about(std::span<const std::byte> file) {
  try {
    (void)read_replay(file);
  } catch (const DecodeError& error) {
    return error.what();
  }
  return "none";
}

TEST(ReplayRecord, ComesBackAsItWasWritten) {
  const ReplayRecord record = read_replay(file_of(some_record()));
  EXPECT_EQ(record.task, 12345U);
  EXPECT_EQ(record.attempt, 3);
  EXPECT_EQ(record.failure, "task 12345 crashed");
  EXPECT_EQ(record.program, "/bin/program");
  EXPECT_EQ(record.module, "/lib/module.so");
  EXPECT_EQ(record.definition, some_bytes(40));
  EXPECT_EQ(record.argument, some_bytes(100));
}

TEST(ReplayRecord, MayBeOfATaskWithoutAnArgument) {
  ReplayRecord record = some_record();
  record.argument.clear();
  EXPECT_TRUE(read_replay(file_of(record)).argument.empty());
}

TEST(ReplayRecord, IsRefusedWhereItIsCut) {
  const std::vector<std::byte> file = file_of(some_record());
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(complaint_about(std::span(file).first(size)),
                HasSubstr(size == 0 ? "no file of a failed task" : "not complete"));
  }
}

TEST(ReplayRecord, IsRefusedWhereAnyBitHasChanged) {
  std::vector<std::byte> file = file_of(some_record());
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    const std::byte mask{static_cast<unsigned char>(1U << bit % 8)};
    file[bit / 8] ^= mask;
    EXPECT_THAT(complaint_about(file), HasSubstr("it is")) << bit;
    file[bit / 8] ^= mask;
  }
  EXPECT_EQ(complaint_about(file), "none");
}

TEST(ReplayRecord, OfAnotherVersionIsRefused) {
  std::vector<std::byte> file = file_of(some_record());
  file.resize(file.size() - sizeof(std::uint64_t));
  file.at(std::strlen("bulkhead replay\n")) = std::byte{2};
  EXPECT_THAT(complaint_about(with_check(file)),
              HasSubstr("another version of bulkhead (format 2"));
}

// Sums that are right do not make the rest so.
TEST(ReplayRecord, OfRandomBytesIsRefusedOrReadWithinItsBounds) {
  std::mt19937 random(1);
  const std::vector<std::byte> file = file_of(some_record());
  for (int round = 0; round < 10'000; ++round) {
    std::vector<std::byte> bytes(file.begin(), file.end() - sizeof(std::uint64_t));
    bytes.resize(20 + random() % (bytes.size() - 20));
    for (std::size_t i = 20; i < bytes.size(); ++i) {
      if (random() % 4 == 0) bytes[i] = static_cast<std::byte>(random());
    }
    try {
      EXPECT_LE(read_replay(with_check(bytes)).argument.size(), bytes.size());
    } catch (const DecodeError&) {  // as it may
    }
  }
}

TEST(Checksum, DoesNotDependOnThePieces) {
  const std::vector<std::byte> bytes = some_bytes(100);
  Checksum whole;
  whole.add(bytes);
  Checksum pieces;
  pieces.add(std::span(bytes).first(33));
  pieces.add({});
  pieces.add(std::span(bytes).subspan(33));
  EXPECT_EQ(pieces.value(), whole.value());
}

}  // namespace
}  // namespace bulkhead::detail
