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

PartFile::PartFile(std::string path) : path_(std::move(path)), draft_(path_ + ".draft") {
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) refuse();
}

PartFile::~PartFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(draft_.c_str());
}

void PartFile::finish() {
  write();
  if (::close(std::exchange(fd_, -1)) == 0 && ::rename(draft_.c_str(), path_.c_str()) == 0) return;
  const int error = errno;
  ::unlink(draft_.c_str());
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
