// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include <bulkhead/detail/run_store.hpp>
#include <bulkhead/error.hpp>

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

std::atomic<std::uint32_t> jobs{0};

}  // namespace

RunStore::RunStore(std::uint64_t memory, std::vector<std::string> folders, std::uint64_t limit)
    : memory_(memory), folders_(std::move(folders)), limit_(limit) {
  ticket_.coordinator = own_pid();
  ticket_.job = ++jobs;
  const int fd = ::memfd_create("bulkhead-runs", MFD_CLOEXEC);
  if (fd < 0) throw SystemError("bulkhead: no file in memory for the runs of a keyed job", errno);
  ticket_.files[kInMemory] = fd;
  for (std::size_t i = 0; i < folders_.size(); ++i) in_use_.push_back(static_cast<RunFile>(i + 1));
}

RunStore::~RunStore() {
  for (const int fd : ticket_.files) {
    if (fd >= 0) ::close(fd);
  }
}

RunFile RunStore::choose() {
  if (bytes(kInMemory) < memory_) return kInMemory;
  if (in_use_.empty())
    throw SystemError("bulkhead: a keyed job needs more than the " + std::to_string(memory_) +
                          " bytes of memory for its runs, and there is no folder to spill to",
                      ENOSPC);
  if (bytes_on_disk() >= limit_)
    throw SystemError("bulkhead: a keyed job needs more than the " + std::to_string(limit_) +
                          " bytes of KeyedOptions::spill_limit",
                      ENOSPC);
  const RunFile file = in_use_.at(next_++ % in_use_.size());
  if (ticket_.files.at(file) < 0) open_on_disk(file);
  return file;
}

bool RunStore::give_up(RunFile file) {
  std::erase(in_use_, file);
  return !in_use_.empty();
}

void RunStore::open_on_disk(RunFile file) {
  const std::string& folder = folders_.at(file - 1);
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    throw SystemError("bulkhead: no file in " + folder + " for the runs of a keyed job", errno);
  ticket_.files.at(file) = fd;
}

std::uint64_t RunStore::bytes(RunFile file) const {
  struct stat status {};
  const int fd = ticket_.files.at(file);
  if (fd < 0 || ::fstat(fd, &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t RunStore::bytes_on_disk() const {
  std::uint64_t all = 0;
  for (RunFile file = kInMemory + 1; file != kRunFiles; ++file) all += bytes(file);
  return all;
}

}  // namespace bulkhead::detail
