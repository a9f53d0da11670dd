// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

/// Those that this worker has open; of inline tasks, each thread.
thread_local std::unique_ptr<RunFiles> present;

[[noreturn]] void refuse(const std::string& what, int error) {
  throw SystemError("bulkhead: a run of a keyed job cannot be " + what, error);
}

/// Where a file of runs lies: it has no name.
std::string folder_of(int fd) {
  std::error_code error;
  const std::filesystem::path link =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  if (error || link.string().starts_with("/memfd:")) return "memory";
  return link.parent_path();
}

[[noreturn]] void refuse_to_write(int fd, int error) {
  refuse("written to " + folder_of(fd), error);
}

}  // namespace

RunFiles& RunFiles::of(const RunTicket& ticket) {
  if (!present || present->ticket_.job != ticket.job ||
      present->ticket_.coordinator != ticket.coordinator) {
    present.reset();
    present = std::make_unique<RunFiles>(ticket);
  }
  present->renew(ticket);
  return *present;
}

RunFiles::RunFiles(const RunTicket& ticket) : owner_(own_pid()), ticket_(ticket) {
  void* const page = ::mmap(nullptr, kRunPage, PROT_READ | PROT_WRITE, MAP_SHARED,
                            descriptor(RunFile::in_memory), 0);
  if (page == MAP_FAILED) refuse("reached", errno);
  words_ = static_cast<RunWords*>(page);
}

RunFiles::~RunFiles() {
  if (own_pid() != owner_) return;  // a fork's descriptors are not these
  if (words_ != nullptr) ::munmap(words_, kRunPage);
  for (const int fd : open_) {
    if (fd >= 0) ::close(fd);
  }
}

int RunFiles::descriptor(RunFile file) {
  int& fd = open_.at(static_cast<std::size_t>(file));
  if (fd < 0) {
    const std::string path = "/proc/" + std::to_string(ticket_.coordinator) + "/fd/" +
                             std::to_string(ticket_.files[static_cast<std::size_t>(file)]);
    fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) refuse("reached", errno);
  }
  return fd;
}

Slice RunFiles::append(RunFile file, std::span<const std::byte> bytes) {
  const int fd = descriptor(file);
  std::uint64_t at = words_->ends[static_cast<std::size_t>(file)].fetch_add(bytes.size());
  const Slice slice{file, 0, at, bytes.size()};
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) refuse_to_write(fd, written < 0 ? errno : ENOSPC);
    at += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return slice;
}

void RunFiles::read(RunFile file, std::uint64_t offset, std::span<std::byte> bytes) {
  const int fd = descriptor(file);
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse("read", errno);
    if (got == 0) throw Error("bulkhead: a run of a keyed job is shorter than was said");
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::size_t SliceReader::piece_of(std::size_t readers, std::size_t all) {
  return std::clamp(all / std::max<std::size_t>(readers, 1), std::size_t{4} << 10, kPiece);
}

SliceReader::SliceReader(RunFiles& files, const Slice& slice, std::size_t piece)
    : files_(files), slice_(slice), piece_(piece), unread_(slice.bytes), rows_left_(slice.rows) {}

std::span<const std::byte> SliceReader::rows(std::size_t row_bytes) {
  if (rows_left_ == 0) return {};
  if (size_ - at_ < row_bytes) fill(row_bytes);
  const auto count = std::min<std::uint64_t>((size_ - at_) / row_bytes, rows_left_);
  const std::span<const std::byte> found(buffer_.data() + at_,
                                         static_cast<std::size_t>(count) * row_bytes);
  at_ += found.size();
  rows_left_ -= count;
  return found;
}

bool SliceReader::next(Record& record) {
  std::uint32_t sizes[2];
  if (size_ == at_ && unread_ == 0) return false;
  fill(sizeof sizes);
  std::memcpy(sizes, buffer_.data() + at_, sizeof sizes);
  const std::size_t all = sizeof sizes + std::size_t{sizes[0]} + sizes[1];
  fill(all);
  const std::byte* const key = buffer_.data() + at_ + sizeof sizes;
  record.key = {reinterpret_cast<const char*>(key), sizes[0]};
  record.value = {key + sizes[0], sizes[1]};
  at_ += all;
  return true;
}

/// Has so many bytes at hand.
void SliceReader::fill(std::size_t wanted) {
  const std::size_t left = size_ - at_;
  if (left >= wanted) return;
  if (wanted - left > unread_) throw Error("bulkhead: a run of a keyed job ends too early");
  const auto more =
      static_cast<std::size_t>(std::min<std::uint64_t>(std::max(piece_, wanted) - left, unread_));
  if (buffer_.size() < left + more) {
    std::vector<std::byte> larger(left + more);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), left, larger.begin());
    buffer_ = std::move(larger);
  } else {
    std::memmove(buffer_.data(), buffer_.data() + at_, left);
  }
  files_.read(slice_.file, slice_.offset + (slice_.bytes - unread_),
              std::span(buffer_).subspan(left, more));
  unread_ -= more;
  at_ = 0;
  size_ = left + more;
}

}  // namespace bulkhead::detail
