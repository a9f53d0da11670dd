// SPDX-License-Identifier: MIT
//
// Parts of files as the input of tasks: a worker reads them itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

struct FilePiece {
  std::string path{};
  std::uint64_t begin = 0;
  std::uint64_t end = 0;        ///< of its bytes
  std::uint64_t size = 0;       ///< of the file, as it was when the job began
  std::int64_t changed_at = 0;  ///< nanoseconds since 1970, likewise

  template <class Archive>
  void serialize(Archive& archive) {
    archive(path, begin, end, size, changed_at);
  }
  bool operator==(const FilePiece&) const = default;
};
/// For failures: the file, and the bytes of it.
[[nodiscard]] std::string name_of(const FilePiece& piece);
/// Of all of them.
[[nodiscard]] std::uint64_t bytes_of(const std::vector<FilePiece>& files);

/// All of a file. `function` is for errors. Throws SystemError; InvalidArgument if it is no regular
/// file.
[[nodiscard]] FilePiece whole_file(const std::string& path, const char* function);
/// All files of a pattern, as for glob(7), in the order of their names, without folders; or that
/// one file. The same.
[[nodiscard]] std::vector<FilePiece> whole_files(const std::string& pattern, const char* function);
/// Those of several, one after the other.
[[nodiscard]] std::vector<FilePiece> whole_files(const std::vector<std::string>& patterns,
                                                 const char* function);

/// Throws Error if the file is not what it was; SystemError if it cannot be looked at.
void require_unchanged(const FilePiece& piece);

/// A file that must not change while it is read.
class UnchangedFile {
 public:
  UnchangedFile() = default;
  UnchangedFile(const UnchangedFile&) = delete;
  UnchangedFile& operator=(const UnchangedFile&) = delete;
  ~UnchangedFile();

  /// Throws SystemError; and Error if it is not what it was.
  void open(const FilePiece& piece);
  /// Bytes from `offset` on, as many as there are room for; 0: there are none. Throws SystemError.
  std::size_t read(std::uint64_t offset, std::span<char> bytes) const;
  /// Fills the room. Throws SystemError; and Error if the file is shorter.
  void read_all(std::uint64_t offset, std::span<char> bytes) const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int descriptor() const { return fd_; }

 private:
  int fd_ = -1;
  std::string path_;
};

}  // namespace bulkhead::detail
