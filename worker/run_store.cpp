// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include <bulkhead/detail/run_store.hpp>
#include <bulkhead/error.hpp>

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

std::atomic<std::uint32_t> jobs{0};

constexpr std::size_t kMemory = static_cast<std::size_t>(RunFile::in_memory);
constexpr std::size_t kDisk = static_cast<std::size_t>(RunFile::on_disk);

[[noreturn]] void refuse_memory(int fd) {
  const int error = errno;
  if (fd >= 0) ::close(fd);
  throw SystemError("bulkhead: no file in memory for the runs of a keyed job", error);
}

}  // namespace

RunStore::RunStore(std::uint64_t memory, std::string folder)
    : memory_(memory), folder_(std::move(folder)) {
  ticket_.coordinator = own_pid();
  ticket_.job = ++jobs;
  const int fd = ::memfd_create("bulkhead-runs", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, kRunPage) != 0) refuse_memory(fd);
  void* const page = ::mmap(nullptr, kRunPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) refuse_memory(fd);
  ticket_.files[kMemory] = fd;
  words_ = new (page) RunWords{};
  words_->ends[kMemory] = kRunPage;
}

RunStore::~RunStore() {
  ::munmap(words_, kRunPage);
  for (const int fd : ticket_.files) {
    if (fd >= 0) ::close(fd);
  }
}

RunFile RunStore::choose() {
  if (bytes(RunFile::in_memory) < memory_) return RunFile::in_memory;
  if (ticket_.files[kDisk] < 0) open_on_disk();
  return RunFile::on_disk;
}

void RunStore::open_on_disk() {
  const int fd = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    throw SystemError("bulkhead: no file in " + folder_ + " for the runs of a keyed job", errno);
  ticket_.files[kDisk] = fd;
}

std::uint64_t RunStore::bytes(RunFile file) const {
  return words_->ends[static_cast<std::size_t>(file)].load(std::memory_order_relaxed);
}

}  // namespace bulkhead::detail
