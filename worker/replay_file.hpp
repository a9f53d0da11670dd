// SPDX-License-Identifier: MIT
//
// Files of failed tasks (see serialization/replay_record.hpp), DIRECTORY/CALL-TASK.bulkhead: where
// they are, how they are written and read.
#pragma once

#include "serialization/checksum.hpp"
#include "worker/descriptor.hpp"
#include <bulkhead/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// No file is longer.
inline constexpr std::uint64_t kMostReplayBytes = std::uint64_t{1} << 30;

/// The absolute path of a directory in which this process may make files. Throws InvalidArgument if
/// it is none, SystemError if it cannot be used.
[[nodiscard]] std::string replay_directory(const std::string& path);

/// One more than the highest CALL of a file in the directory. Throws SystemError.
[[nodiscard]] std::uint64_t next_replay_call(const std::string& directory);

[[nodiscard]] std::string replay_path(const std::string& directory, std::uint64_t call,
                                      std::uint64_t task);

/// A new file that only its owner can read. Removed if it is not finished.
class ReplayFileWriter final : public ByteWriter {
 public:
  /// Takes no more than `most` bytes. Throws SystemError; with EEXIST if there is one of that name.
  ReplayFileWriter(std::string path, std::uint64_t most);
  ~ReplayFileWriter();

  /// Writes the check and closes the file. Throws SystemError.
  void finish();
  /// Bytes written so far.
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  void write_slow(const std::byte* data, std::size_t size) override;
  void flush();
  void write_out(std::span<const std::byte> bytes);

  std::string path_;
  std::uint64_t most_;
  Descriptor fd_;
  std::vector<std::byte> buffer_;
  Checksum sum_;
  std::uint64_t size_ = 0;
};

/// The bytes of a file. Throws SystemError.
[[nodiscard]] std::vector<std::byte> read_file(const std::string& path);

}  // namespace bulkhead::detail
