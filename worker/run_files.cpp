// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include "worker/local_task.hpp"
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

/// Those that this worker has open.
std::shared_ptr<RunFiles> present;

/// The kernel takes no more in one call.
constexpr std::size_t kMostAtOnce = 0x7fff'f000;

[[noreturn]] void refuse(const std::string& what, int error, RunFile file) {
  throw RunError("bulkhead: a run of a keyed job cannot be " + what, error, file);
}

/// Where a file of runs lies: it has no name.
std::string folder_of(int fd) {
  std::error_code error;
  const std::filesystem::path link =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  if (error || link.string().starts_with("/memfd:")) return "memory";
  return link.parent_path();
}

}  // namespace

std::shared_ptr<RunFiles> RunFiles::of(const RunTicket& ticket) {
  if (present_local_task() != nullptr) return std::make_shared<RunFiles>(ticket);
  if (!present || present->ticket_.job != ticket.job ||
      present->ticket_.coordinator != ticket.coordinator) {
    present.reset();
    present = std::make_shared<RunFiles>(ticket);
  }
  present->renew(ticket);
  return present;
}

RunFiles::RunFiles(const RunTicket& ticket) : owner_(own_pid()), ticket_(ticket) {}

RunFiles::~RunFiles() {
  if (own_pid() != owner_) return;  // a fork's descriptors are not these
  for (const int fd : open_) {
    if (fd >= 0) ::close(fd);
  }
}

int RunFiles::descriptor(RunFile file) {
  int& fd = open_.at(file);
  if (fd < 0) {
    const std::string path = "/proc/" + std::to_string(ticket_.coordinator) + "/fd/" +
                             std::to_string(ticket_.files.at(file));
    fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
    if (fd < 0) refuse("reached", errno, file);
  }
  return fd;
}

std::uint64_t RunFiles::size(RunFile file) {
  struct stat status {};
  if (::fstat(descriptor(file), &status) != 0) refuse("written", errno, file);
  return static_cast<std::uint64_t>(status.st_size);
}

/// For so many bytes.
RunFile RunFiles::choose(std::uint64_t bytes) {
  if (size(kInMemory) + bytes <= ticket_.most_in_memory) return kInMemory;
  if (ticket_.disk == kInMemory) refuse("kept in memory", ENOSPC, kInMemory);
  if (size(ticket_.disk) + bytes > ticket_.most_on_disk)
    throw RunError("bulkhead: a keyed job needs more than the " +
                       std::to_string(ticket_.spill_limit) + " bytes of KeyedOptions::spill_limit",
                   ENOSPC, ticket_.disk);
  return ticket_.disk;
}

/// A write to a file that is open for appending takes its room and fills it in one step, whoever
/// writes beside it; and leaves the position of this process' own descriptor behind it.
Slice RunFiles::append(std::span<const std::byte> bytes) {
  if (bytes.size() > kMostAtOnce)
    throw Error("bulkhead: a part of a run of a keyed job has " + std::to_string(bytes.size()) +
                " bytes; give the job less memory");
  const RunFile file = choose(bytes.size());
  const int fd = descriptor(file);
  ssize_t written = 0;
  while ((written = ::write(fd, bytes.data(), bytes.size())) < 0 && errno == EINTR) {
  }
  if (static_cast<std::size_t>(written) != bytes.size())
    refuse("written to " + folder_of(fd), written < 0 ? errno : ENOSPC, file);
  const off_t end = ::lseek(fd, 0, SEEK_CUR);
  if (end < written) refuse("written to " + folder_of(fd), errno, file);
  return {file, 0, static_cast<std::uint64_t>(end - written), bytes.size(), 0};
}

void RunFiles::read(RunFile file, std::uint64_t offset, std::span<std::byte> bytes) {
  const int fd = descriptor(file);
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse("read", errno, file);
    if (got == 0) throw Error("bulkhead: a run of a keyed job is shorter than was said");
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::size_t SliceReader::piece_of(std::size_t readers, std::size_t all) {
  return std::clamp(all / std::max<std::size_t>(readers, 1), std::size_t{4} << 10, kPiece);
}

void SliceReader::open(const Slice& slice) {
  if (slice.row_bytes > slice.bytes) refuse();
  slice_ = slice;
  unread_ = slice.bytes;
  rows_left_ = slice.row_bytes;
  at_ = size_ = 0;
}

void SliceReader::refuse() {
  throw Error("bulkhead: a run of a keyed job ends too early");
}

bool SliceReader::next(Record& record) {
  std::uint32_t sizes[2];
  if (size_ == at_ && unread_ == 0) return false;
  fill(sizeof sizes);
  std::memcpy(sizes, buffer_.data() + at_, sizeof sizes);
  const std::size_t all = sizeof sizes + std::size_t{sizes[0]} + sizes[1];
  if (all > size_ - at_ + unread_) refuse();
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
  if (wanted - left > unread_) refuse();
  const auto more =
      static_cast<std::size_t>(std::min<std::uint64_t>(std::max(piece_, wanted) - left, unread_));
  if (buffer_.size() < left + more + kMargin) {
    std::vector<std::byte> larger(left + more + kMargin);
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
