// SPDX-License-Identifier: MIT
#include <bulkhead/mapped.hpp>

#include <cerrno>
#include <cstdint>
#include <sys/mman.h>

namespace bulkhead::detail {
namespace {

#ifdef MADV_POPULATE_READ
constexpr int kBringIn = MADV_POPULATE_READ;
#else
constexpr int kBringIn = MADV_WILLNEED;
#endif

/// Of the file that this thread has read last.
thread_local std::shared_ptr<const FileMapping> present;
thread_local FilePiece present_file;

}  // namespace

FileMapping::FileMapping(const FilePiece& file) : file_(file) {
  UnchangedFile opened;  // a mapping needs no descriptor: those are closed where workers are forked
  opened.open(file);
  if (file.size == 0) return;
  void* const data = ::mmap(nullptr, static_cast<std::size_t>(file.size), PROT_READ, MAP_SHARED,
                            opened.descriptor(), 0);
  if (data == MAP_FAILED) throw SystemError("bulkhead: " + file.path + " cannot be mapped", errno);
  data_ = static_cast<const std::byte*>(data);
}

FileMapping::~FileMapping() {
  if (data_ != nullptr)
    ::munmap(const_cast<std::byte*>(data_), static_cast<std::size_t>(file_.size));
}

std::shared_ptr<const FileMapping> FileMapping::of(const FilePiece& file) {
  if (!present || present_file != file) {
    present.reset();
    present = std::make_shared<const FileMapping>(file);
    present_file = file;
  }
  return present;
}

const std::byte* FileMapping::bytes(std::uint64_t offset, std::uint64_t size) const {
  require_unchanged(file_);
  if (size > file_.size || offset > file_.size - size)
    throw DecodeError("bulkhead: a block behind the end of " + file_.path);
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t begin = offset / kPage * kPage;
  ::madvise(const_cast<std::byte*>(data_) + begin, static_cast<std::size_t>(offset + size - begin),
            kBringIn);  // it is faster, no more
  return data_ + offset;
}

}  // namespace bulkhead::detail
