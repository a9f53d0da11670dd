// SPDX-License-Identifier: MIT
#include <bulkhead/detail/part_files.hpp>
#include <bulkhead/error.hpp>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {

namespace {

/// What is there is no file that could be replaced: a device, a pipe, a stream of this process.
bool is_written_to(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return false;
  return !std::filesystem::is_regular_file(status) || path.starts_with("/dev/") ||
         path.starts_with("/proc/");
}

/// Where links lead.
std::string target_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

PartFile::PartFile(const std::string& path) {
  if (is_written_to(path)) {
    path_ = path;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    path_ = target_of(path);
    draft_ = path_ + ".draft";
    fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (fd_ < 0) refuse();
}

PartFile::~PartFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!draft_.empty()) ::unlink(draft_.c_str());
}

void PartFile::finish() {
  write();
  const bool closed = ::close(std::exchange(fd_, -1)) == 0;
  if (closed && (draft_.empty() || ::rename(draft_.c_str(), path_.c_str()) == 0)) return;
  const int error = errno;
  if (!draft_.empty()) ::unlink(draft_.c_str());
  errno = error;
  refuse();
}

void PartFile::write() {
  std::string_view left = text_;
  while (!left.empty()) {
    const ssize_t written = ::write(fd_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse();
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  text_.clear();
}

void PartFile::refuse() const {
  throw SystemError("bulkhead: " + path_ + " cannot be written", errno);
}

}  // namespace bulkhead::detail
