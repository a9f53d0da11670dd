// SPDX-License-Identifier: MIT
#include <bulkhead/detail/text_piece.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

/// Small enough to stay in a CPU's cache until it has been gone through.
constexpr std::size_t kBlock = std::size_t{256} << 10;

}  // namespace

TextPiece whole_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw SystemError("bulkhead: text(): " + path + " cannot be read", errno);
  if (!S_ISREG(status.st_mode))
    throw InvalidArgument("bulkhead: text(): " + path + " is no regular file");
  TextPiece file;
  file.path = path;
  file.size = file.end = static_cast<std::uint64_t>(status.st_size);
  file.changed_at = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  return file;
}

LineBlocks::~LineBlocks() {
  if (fd_ >= 0) ::close(fd_);
}

void LineBlocks::open(const TextPiece& piece) {
  if (fd_ >= 0) ::close(fd_);
  path_ = piece.path;
  fd_ = ::open(piece.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) throw SystemError("bulkhead: " + path_ + " cannot be opened", errno);
  struct stat now {};
  if (::fstat(fd_, &now) != 0) throw SystemError("bulkhead: " + path_ + " cannot be read", errno);
  const std::int64_t changed_at =
      std::int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec;
  if (static_cast<std::uint64_t>(now.st_size) != piece.size || changed_at != piece.changed_at)
    throw Error("bulkhead: " + path_ + " has changed since the job began");
  end_ = piece.end;
  offset_ = piece.begin == 0 ? 0 : piece.begin - 1;
  at_ = size_ = 0;
  over_ = piece.begin >= piece.end || (piece.begin != 0 && !find_first_line());
}

/// The line that begins behind the first line end from `offset_` on, if it is of this piece.
bool LineBlocks::find_first_line() {
  while (read_more()) {
    const char* const found =
        static_cast<const char*>(std::memchr(buffer_.data() + at_, '\n', in_hand()));
    if (found == nullptr) {
      at_ = size_;
      if (offset_ >= end_) return false;
      continue;
    }
    at_ = static_cast<std::size_t>(found + 1 - buffer_.data());
    return offset_ - in_hand() < end_;
  }
  return false;
}

std::string_view LineBlocks::next() {
  while (!over_) {
    std::size_t size = whole_lines();
    if (size == 0 && !read_more()) {
      over_ = true;
      size = in_hand();  // a line without an end
    }
    if (size == 0) continue;
    const std::string_view lines(buffer_.data() + at_, size);
    at_ += size;
    return lines;
  }
  return {};
}

/// Bytes of the lines at hand that have an end, and begin in this piece.
std::size_t LineBlocks::whole_lines() {
  const char* const lines = buffer_.data() + at_;
  const std::size_t size = in_hand();
  const std::uint64_t begin = offset_ - size;
  const void* last = nullptr;
  if (offset_ >= end_ && size != 0) {
    // The line that reaches the end of the piece is the last one.
    const std::size_t from = end_ - 1 > begin ? static_cast<std::size_t>(end_ - 1 - begin) : 0;
    last = std::memchr(lines + from, '\n', size - from);
    over_ = last != nullptr;
  }
  if (last == nullptr && size != 0) last = ::memrchr(lines, '\n', size);
  return last == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(last) + 1 - lines);
}

bool LineBlocks::read_more() {
  const std::size_t left = in_hand();
  if (buffer_.size() < left + kBlock / 2) buffer_.resize(std::max(kBlock, 2 * left));
  std::memmove(buffer_.data(), buffer_.data() + at_, left);
  at_ = 0;
  size_ = left;
  for (;;) {
    const ssize_t got =
        ::pread(fd_, buffer_.data() + size_, buffer_.size() - size_, static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError("bulkhead: " + path_ + " cannot be read", errno);
    size_ += static_cast<std::size_t>(got);
    offset_ += static_cast<std::uint64_t>(got);
    return got != 0;
  }
}

}  // namespace bulkhead::detail
