// SPDX-License-Identifier: MIT
#include <bulkhead/detail/file_piece.hpp>
#include <bulkhead/error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <glob.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

std::int64_t change_time(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// The paths that a pattern has found.
class Found {
 public:
  Found() = default;
  Found(const Found&) = delete;
  Found& operator=(const Found&) = delete;
  ~Found() { ::globfree(&found_); }
  int look_for(const std::string& pattern) {
    return ::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found_);
  }
  [[nodiscard]] std::span<char* const> paths() const { return {found_.gl_pathv, found_.gl_pathc}; }

 private:
  glob_t found_{};
};

[[noreturn]] void refuse_change(const std::string& path) {
  throw Error("bulkhead: " + path + " has changed since the job began");
}

void require_same(const struct stat& now, const FilePiece& piece) {
  const bool same =
      static_cast<std::uint64_t>(now.st_size) == piece.size && change_time(now) == piece.changed_at;
  if (!same) refuse_change(piece.path);
}

std::string prefix(const char* function) {
  return std::string("bulkhead: ") + function + "(): ";
}

}  // namespace

std::string name_of(const FilePiece& piece) {
  return piece.path + ", bytes " + std::to_string(piece.begin) + " to " + std::to_string(piece.end);
}

std::uint64_t bytes_of(const std::vector<FilePiece>& files) {
  std::uint64_t bytes = 0;
  for (const FilePiece& file : files) bytes += file.size;
  return bytes;
}

FilePiece whole_file(const std::string& path, const char* function) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw SystemError(prefix(function) + path + " cannot be read", errno);
  if (S_ISDIR(status.st_mode))
    throw InvalidArgument(prefix(function) + path + " is a folder; its files are " + path + "/*");
  if (!S_ISREG(status.st_mode))
    throw InvalidArgument(prefix(function) + path + " is no regular file");
  if (status.st_size == 0 && std::ifstream(path).peek() != std::ifstream::traits_type::eof()) {
    throw InvalidArgument(prefix(function) + path +
                          " does not say how large it is, like files of /proc: read it as a "
                          "stream, by text() of a std::ifstream");
  }
  FilePiece file;
  file.path = std::filesystem::absolute(path);
  file.size = file.end = static_cast<std::uint64_t>(status.st_size);
  file.changed_at = change_time(status);
  return file;
}

std::vector<FilePiece> whole_files(const std::string& pattern, const char* function) {
  struct stat status {};
  if (::stat(pattern.c_str(), &status) == 0) return {whole_file(pattern, function)};
  Found found;
  const int error = found.look_for(pattern);
  if (error == GLOB_NOMATCH) {
    const bool is_name = pattern.find_first_of("*?[") == std::string::npos;
    throw SystemError(prefix(function) +
                          (is_name ? "there is no file " : "nothing matches the pattern ") +
                          pattern,
                      ENOENT);
  }
  if (error != 0) throw SystemError(prefix(function) + pattern + " cannot be looked for", errno);
  std::vector<FilePiece> files;
  std::error_code is_none;
  for (const char* const path : found.paths()) {
    if (!std::filesystem::is_directory(path, is_none)) files.push_back(whole_file(path, function));
  }
  if (files.empty())
    throw SystemError(prefix(function) + pattern + " is the name of folders only", ENOENT);
  return files;
}

std::vector<FilePiece> whole_files(const std::vector<std::string>& patterns, const char* function) {
  std::vector<FilePiece> all;
  for (const std::string& pattern : patterns) {
    for (FilePiece& file : whole_files(pattern, function)) all.push_back(std::move(file));
  }
  return all;
}

void require_unchanged(const FilePiece& piece) {
  struct stat now {};
  if (::stat(piece.path.c_str(), &now) != 0)
    throw SystemError("bulkhead: " + piece.path + " cannot be read", errno);
  require_same(now, piece);
}

UnchangedFile::~UnchangedFile() {
  if (fd_ >= 0) ::close(fd_);
}

void UnchangedFile::open(const FilePiece& piece) {
  if (fd_ >= 0) ::close(fd_);
  path_ = piece.path;
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) throw SystemError("bulkhead: " + path_ + " cannot be opened", errno);
  struct stat now {};
  if (::fstat(fd_, &now) != 0) throw SystemError("bulkhead: " + path_ + " cannot be read", errno);
  require_same(now, piece);
}

std::size_t UnchangedFile::read(std::uint64_t offset, std::span<char> bytes) const {
  for (;;) {
    const ssize_t got = ::pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw SystemError("bulkhead: " + path_ + " cannot be read", errno);
  }
}

void UnchangedFile::read_all(std::uint64_t offset, std::span<char> bytes) const {
  while (!bytes.empty()) {
    const std::size_t got = read(offset, bytes);
    if (got == 0) refuse_change(path_);
    offset += got;
    bytes = bytes.subspan(got);
  }
}

}  // namespace bulkhead::detail
