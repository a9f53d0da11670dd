// SPDX-License-Identifier: MIT
//
// Runs: what a worker has made of a part of a keyed job, packed, for whichever worker is to go on
// with it. They lie in files of the coordinator's, one in memory and others, without a name, on
// disks. Workers append to them, and map nothing of them: no stray write of one can reach another's
// runs. What they have written counts from when their task is answered, and never if it is not.
//
// A run has a slice for each partition. A slice has rows first (see run_row.hpp), then records:
//
//   key bytes (u32) | value bytes (u32) | key | value
//
// Where it is on a disk, and the job compresses, either is in frames (see run_frames.hpp).
#pragma once

#include <bulkhead/compression.hpp>
#include <bulkhead/detail/function_token.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// One of the files of a job: kInMemory, or one on a disk.
using RunFile = std::uint32_t;
inline constexpr RunFile kInMemory = 0;
inline constexpr std::size_t kRunFiles = 9;

/// The files of one job, as its tasks are told of them.
struct RunTicket {
  std::int32_t coordinator = 0;  ///< process
  std::uint32_t job = 0;         ///< different for each that the coordinator has had
  std::array<std::int32_t, kRunFiles> files = no_files();  ///< descriptors there; -1: there is none

  static constexpr std::array<std::int32_t, kRunFiles> no_files() {
    std::array<std::int32_t, kRunFiles> none{};
    none.fill(-1);
    return none;
  }

  // Where to write.
  std::uint64_t most_in_memory = 0;  ///< bytes of that file
  RunFile disk = kInMemory;          ///< for what is more; kInMemory: there is none
  std::uint64_t most_on_disk = 0;    ///< bytes of that one
  std::uint64_t spill_limit = 0;     ///< bytes of all on disks, for errors
  FunctionToken compression{};       ///< CompressionMethod, on disks
};

/// Where a slice lies.
struct Slice {
  RunFile file = kInMemory;
  std::uint32_t row_frames = 0;  ///< bytes of the file for the rows
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t row_bytes = 0;  ///< at its beginning

  [[nodiscard]] Slice rows() const { return {file, row_frames, offset, row_bytes, row_bytes}; }
  [[nodiscard]] Slice records() const {
    return {file, 0, offset + row_frames, bytes - row_bytes, 0};
  }
};

/// A run could not be written, or not be read, in a file: `error` is the number.
class RunError : public SystemError {
 public:
  RunError(const std::string& what, int error, std::uint32_t job, RunFile file)
      : SystemError(what, error), step_(what), job_(job), file_(file) {}
  /// Without the text of the error.
  [[nodiscard]] const std::string& step() const { return step_; }
  /// RunTicket::job.
  [[nodiscard]] std::uint32_t job() const { return job_; }
  /// kInMemory: there was another one to be written to, which is not to be had.
  [[nodiscard]] RunFile file() const { return file_; }

 private:
  std::string step_;
  std::uint32_t job_;
  RunFile file_;
};

/// The files of a ticket in this process. One thread at a time.
class RunFiles {
 public:
  explicit RunFiles(const RunTicket& ticket);
  /// Those that this worker has open, which it keeps until it has been asked for two others; of an
  /// inline task, its own.
  static std::shared_ptr<RunFiles> of(const RunTicket& ticket);
  /// The same job's, which may have come to have a file on a disk meanwhile.
  void renew(const RunTicket& ticket) { ticket_ = ticket; }
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;
  ~RunFiles();

  /// Writes slices where the ticket says: they lie one behind the other in `bytes`, their offsets
  /// are in that, and say afterwards where they lie in the file. Throws RunError; Error if these
  /// are 2 GiB or more.
  void append(std::span<const std::byte> bytes, std::span<Slice> slices);
  /// Throws RunError, and Error if there is less than that.
  void read(RunFile file, std::uint64_t offset, std::span<std::byte> bytes);
  /// How the bytes of that file are compressed; null: they are not.
  [[nodiscard]] const Compression* compression(RunFile file);

 private:
  int descriptor(RunFile file);
  bool has_room_in_memory(std::uint64_t bytes);
  void check_disk(std::uint64_t bytes);
  std::span<const std::byte> compress(std::span<const std::byte> bytes, std::span<Slice> slices);
  std::uint64_t write(RunFile file, std::span<const std::byte> bytes);
  std::uint64_t size(RunFile file);
  [[noreturn]] void refuse(const std::string& what, int error, RunFile file) const;

  const std::int32_t owner_;  ///< process
  RunTicket ticket_;
  const Compression* compression_ = nullptr;  ///< once it has been wanted
  std::vector<std::byte> frames_;
  std::array<int, kRunFiles> open_ = RunTicket::no_files();  ///< -1: not yet
};

/// Reads a slice from front to end, in pieces.
class SliceReader {
 public:
  static constexpr std::size_t kPiece = std::size_t{256} << 10;
  /// Small enough for so many readers at a time to take about `all` bytes.
  static std::size_t piece_of(std::size_t readers, std::size_t all = std::size_t{16} << 20);

  explicit SliceReader(RunFiles& files, std::size_t piece = kPiece)
      : files_(files), piece_(piece) {}
  SliceReader(RunFiles& files, const Slice& slice, std::size_t piece = kPiece)
      : SliceReader(files, piece) {
    open(slice);
  }
  /// Begins with another one.
  void open(const Slice& slice);

  /// The next row, which has at most so many bytes; as many can be looked at, whatever they are.
  /// Null: there is none.
  const std::byte* row(std::size_t most) {
    if (rows_left_ == 0) return nullptr;
    if (size_ - at_ < most && unread_ != 0) [[unlikely]]
      fill(static_cast<std::size_t>(std::min<std::uint64_t>(most, size_ - at_ + unread_)));
    return buffer_.data() + at_;
  }
  /// It had so many bytes. Throws if those are more than there were.
  void step(std::size_t bytes) {
    if (bytes > rows_left_) refuse();
    rows_left_ -= bytes;
    at_ += bytes;
  }
  struct Record {
    std::string_view key;
    std::span<const std::byte> value;
  };
  /// After all rows: false if there is no other record. Valid until the next call.
  bool next(Record& record);

 private:
  /// Can be looked at behind what was read.
  static constexpr std::size_t kMargin = 128;

  void fill(std::size_t wanted);
  void make_room(std::size_t bytes);
  void read_frame(const Compression& compression);
  [[noreturn]] static void refuse();

  RunFiles& files_;
  const std::size_t piece_;
  Slice slice_;
  std::uint64_t place_ = 0;  ///< in the file, of what is unread
  std::uint64_t unread_ = 0;
  std::uint64_t rows_left_ = 0;  ///< bytes
  std::vector<std::byte> buffer_;
  std::vector<std::byte> frame_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
