// SPDX-License-Identifier: MIT
//
// Runs: what a worker has made of a part of a keyed job, packed, for whichever worker is to go on
// with it. They lie in two files of the coordinator's, one in memory and one, without a name, on a
// disk. Workers take room there by a counter that they share; what they have written counts from
// when their task is answered, and never if it is not.
//
// A run has a slice for each partition. A slice has rows first, which are all of one size, then
// records:   key bytes (u32) | value bytes (u32) | key | value
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

enum class RunFile : std::uint32_t { in_memory, on_disk };
inline constexpr std::size_t kRunFiles = 2;

/// The files of one job, as its tasks are told of them.
struct RunTicket {
  std::int32_t coordinator = 0;  ///< process
  std::uint32_t job = 0;         ///< different for each that the coordinator has had
  std::array<std::int32_t, kRunFiles> files{-1, -1};  ///< descriptors there; -1: there is none
};

/// At the beginning of the file in memory, whose runs begin at kRunPage.
struct RunWords {
  std::array<std::atomic<std::uint64_t>, kRunFiles> ends;  ///< of what has been taken of each file
};
inline constexpr std::size_t kRunPage = 4096;

/// Where a slice lies.
struct Slice {
  RunFile file = RunFile::in_memory;
  std::uint32_t rows = 0;  ///< at its beginning
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// The files of a ticket in this process. One thread at a time.
class RunFiles {
 public:
  /// Throws SystemError.
  explicit RunFiles(const RunTicket& ticket);
  /// Those that this worker has open, which it keeps until it is asked for another job's.
  static RunFiles& of(const RunTicket& ticket);
  /// The same job's, which may have come to have a file on a disk meanwhile.
  void renew(const RunTicket& ticket) { ticket_ = ticket; }
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;
  ~RunFiles();

  /// Throws SystemError.
  Slice append(RunFile file, std::span<const std::byte> bytes);
  /// Throws SystemError, and Error if there is less than that.
  void read(RunFile file, std::uint64_t offset, std::span<std::byte> bytes);

 private:
  int descriptor(RunFile file);

  const std::int32_t owner_;  ///< process
  RunTicket ticket_;
  std::array<int, kRunFiles> open_{-1, -1};  ///< -1: not yet
  RunWords* words_ = nullptr;
};

/// Reads slices from front to end, in pieces.
class SliceReader {
 public:
  static constexpr std::size_t kPiece = std::size_t{256} << 10;
  /// Small enough for so many readers at a time to take about `all` bytes.
  static std::size_t piece_of(std::size_t readers, std::size_t all = std::size_t{16} << 20);

  SliceReader(RunFiles& files, const Slice& slice, std::size_t piece = kPiece);

  /// The next rows, as many as there are in the piece at hand; none: there are no more.
  std::span<const std::byte> rows(std::size_t row_bytes);
  struct Record {
    std::string_view key;
    std::span<const std::byte> value;
  };
  /// After all rows: false if there is no other record. Valid until the next call.
  bool next(Record& record);

 private:
  void fill(std::size_t wanted);

  RunFiles& files_;
  const Slice slice_;
  const std::size_t piece_;
  std::uint64_t unread_;
  std::uint64_t rows_left_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
