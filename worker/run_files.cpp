// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include "worker/local_task.hpp"
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/detail/run_frames.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

/// Those that this worker has open: of a reduction, what it reads and what it writes.
std::array<std::shared_ptr<RunFiles>, 2> present;

/// The kernel takes no more in one call.
constexpr std::size_t kMostAtOnce = 0x7fff'f000;

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
  const auto found = std::ranges::find_if(present, [&](const auto& files) {
    return files && files->ticket_.job == ticket.job &&
           files->ticket_.coordinator == ticket.coordinator;
  });
  if (found == present.end()) {
    present[1] = std::exchange(present[0], std::make_shared<RunFiles>(ticket));
    return present[0];
  }
  (*found)->renew(ticket);
  return *found;
}

RunFiles::RunFiles(const RunTicket& ticket) : owner_(own_pid()), ticket_(ticket) {}

RunFiles::~RunFiles() {
  if (own_pid() != owner_) return;  // a fork's descriptors are not these
  for (const int fd : open_) {
    if (fd >= 0) ::close(fd);
  }
}

void RunFiles::refuse(const std::string& what, int error, RunFile file) const {
  throw RunError("bulkhead: a run of a keyed job cannot be " + what, error, ticket_.job, file);
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

const Compression* RunFiles::compression(RunFile file) {
  if (file == kInMemory || ticket_.compression.is_none()) return nullptr;
  if (compression_ == nullptr)
    compression_ =
        &reinterpret_cast<CompressionMethod>(const_cast<void*>(ticket_.compression.address()))();
  return compression_;
}

bool RunFiles::has_room_in_memory(std::uint64_t bytes) {
  if (size(kInMemory) + bytes <= ticket_.most_in_memory) return true;
  if (ticket_.disk == kInMemory) refuse("kept in memory", ENOSPC, kInMemory);
  return false;
}

void RunFiles::check_disk(std::uint64_t bytes) {
  if (size(ticket_.disk) + bytes > ticket_.most_on_disk)
    throw RunError("bulkhead: a keyed job needs more than the " +
                       std::to_string(ticket_.spill_limit) +
                       " bytes of KeyedOptions::spill_limit: raise it",
                   EDQUOT, ticket_.job, ticket_.disk);
}

/// What the file has instead; the slices say where in that they are.
std::span<const std::byte> RunFiles::compress(std::span<const std::byte> bytes,
                                              std::span<Slice> slices) {
  frames_.clear();
  for (Slice& slice : slices) {
    const std::span<const std::byte> all = bytes.subspan(slice.offset, slice.bytes);
    slice.offset = frames_.size();
    put_frames(*compression_, all.first(slice.row_bytes), frames_);
    slice.row_frames = static_cast<std::uint32_t>(frames_.size() - slice.offset);
    put_frames(*compression_, all.subspan(slice.row_bytes), frames_);
  }
  return frames_;
}

void RunFiles::append(std::span<const std::byte> bytes, std::span<Slice> slices) {
  if (bytes.size() > kMostAtOnce)
    throw Error("bulkhead: a part of a run of a keyed job has " + std::to_string(bytes.size()) +
                " bytes; give the job less memory");
  const RunFile file = has_room_in_memory(bytes.size()) ? kInMemory : ticket_.disk;
  if (compression(file) != nullptr) bytes = compress(bytes, slices);
  if (file != kInMemory) check_disk(bytes.size());
  const std::uint64_t begin = write(file, bytes);
  for (Slice& slice : slices) {
    slice.file = file;
    slice.offset += begin;
  }
}

/// A write to a file that is open for appending takes its room and fills it in one step, whoever
/// writes beside it; and leaves the position of this process' own descriptor behind it.
std::uint64_t RunFiles::write(RunFile file, std::span<const std::byte> bytes) {
  const int fd = descriptor(file);
  ssize_t written = 0;
  while ((written = ::write(fd, bytes.data(), bytes.size())) < 0 && errno == EINTR) {
  }
  if (static_cast<std::size_t>(written) != bytes.size())
    refuse("written to " + folder_of(fd), written < 0 ? errno : ENOSPC, file);
  const off_t end = ::lseek(fd, 0, SEEK_CUR);
  if (end < written) refuse("written to " + folder_of(fd), errno, file);
  return static_cast<std::uint64_t>(end - written);
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
  place_ = slice.offset;
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
  if (size_ - at_ >= wanted) return;
  if (wanted - (size_ - at_) > unread_) refuse();
  if (const Compression* const compression = files_.compression(slice_.file)) {
    while (size_ - at_ < wanted) read_frame(*compression);
    return;
  }
  const std::size_t left = size_ - at_;
  const auto more =
      static_cast<std::size_t>(std::min<std::uint64_t>(std::max(piece_, wanted) - left, unread_));
  make_room(more);
  files_.read(slice_.file, place_, std::span(buffer_).subspan(size_, more));
  place_ += more;
  unread_ -= more;
  size_ += more;
}

/// What is at hand lies in front then, and there is room for so much behind it.
void SliceReader::make_room(std::size_t bytes) {
  const std::size_t left = size_ - at_;
  if (buffer_.size() < left + bytes + kMargin) {
    std::vector<std::byte> larger(left + bytes + kMargin);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), left, larger.begin());
    buffer_ = std::move(larger);
  } else {
    std::memmove(buffer_.data(), buffer_.data() + at_, left);
  }
  at_ = 0;
  size_ = left;
}

void SliceReader::read_frame(const Compression& compression) {
  FrameSizes sizes;
  files_.read(slice_.file, place_, std::as_writable_bytes(std::span(&sizes, 1)));
  check(sizes);
  if (sizes.bytes > unread_) refuse();
  frame_.resize(sizes.stored);
  files_.read(slice_.file, place_ + sizeof sizes, frame_);
  make_room(sizes.bytes);
  get_frame(compression, frame_, std::span(buffer_).subspan(size_, sizes.bytes));
  place_ += sizeof sizes + sizes.stored;
  unread_ -= sizes.bytes;
  size_ += sizes.bytes;
}

}  // namespace bulkhead::detail
