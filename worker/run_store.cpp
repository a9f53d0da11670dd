// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include <bulkhead/detail/run_store.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
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

RunStore::RunStore(std::shared_ptr<RunBudget> budget, std::vector<std::string> folders,
                   FunctionToken compression)
    : budget_(std::move(budget)), folders_(std::move(folders)) {
  ticket_.compression = compression;
  ticket_.coordinator = own_pid();
  ticket_.job = ++jobs;
  const int fd = ::memfd_create("bulkhead-runs", MFD_CLOEXEC);
  if (fd < 0) throw SystemError("bulkhead: no file in memory for the runs of a keyed job", errno);
  ticket_.files[kInMemory] = fd;
  for (std::size_t i = 0; i < folders_.size(); ++i) in_use_.push_back(static_cast<RunFile>(i + 1));
  const std::lock_guard lock(budget_->mutex_);
  budget_->stores_.push_back(this);
}

std::shared_ptr<RunStore> RunStore::another() const {
  return std::make_shared<RunStore>(budget_, folders_, ticket_.compression);
}

RunStore::~RunStore() {
  {
    const std::lock_guard lock(budget_->mutex_);
    std::erase(budget_->stores_, this);
  }
  const bool is_ours = own_pid() == ticket_.coordinator;  // and not that of a copy of the process
  for (const int fd : ticket_.files) {
    if (fd < 0) continue;
    // Workers have it open until they are given another job; without that it is closed, no more.
    [[maybe_unused]] const int emptied = is_ours ? ::ftruncate(fd, 0) : 0;
    ::close(fd);
  }
}

RunTicket RunStore::ticket_to_write() {
  const std::lock_guard lock(budget_->mutex_);
  RunFile disk = kInMemory;
  if (!in_use_.empty()) disk = in_use_[next_++ % in_use_.size()];
  if (disk != kInMemory && ticket_.files.at(disk) < 0) {
    open_on_disk(disk);
    if (ticket_.files.at(disk) < 0) disk = kInMemory;
  }
  std::uint64_t memory = 0;  // that others have
  std::uint64_t on_disks = 0;
  for (const RunStore* const store : budget_->stores_) {
    if (store != this) memory += store->size(kInMemory);
    on_disks += store->size_on_disk();
  }
  if (disk != kInMemory) on_disks -= std::min(on_disks, size(disk));
  RunTicket ticket = ticket_;
  ticket.most_in_memory = budget_->memory() - std::min(budget_->memory(), memory);
  ticket.disk = disk;
  ticket.most_on_disk = budget_->disk() - std::min(budget_->disk(), on_disks);
  ticket.spill_limit = budget_->disk();
  return ticket;
}

bool RunStore::give_up(RunFile file, int error) {
  if (error != ENOSPC && error != EDQUOT && error != EIO) return false;
  if (file == kInMemory && in_use_.empty()) refuse_disk();
  std::erase(in_use_, file);
  return !in_use_.empty();
}

void RunStore::refuse_disk() const {
  if (error_ != 0) throw SystemError(no_file_, error_);
  throw SystemError(
      "bulkhead: a keyed job needs more than the " + std::to_string(budget_->memory()) +
          " bytes that are for runs in memory, and there is no folder to spill to: name one in "
          "KeyedOptions::spill, or raise KeyedOptions::memory, of which that is a part",
      ENOSPC);
}

/// If it cannot, that matters as soon as it is wanted.
void RunStore::open_on_disk(RunFile file) {
  const std::string& folder = folders_.at(file - 1);
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    error_ = errno;
    no_file_ = "bulkhead: KeyedOptions::spill: no file can be made in " + folder;
    std::erase(in_use_, file);
  }
  ticket_.files.at(file) = fd;
}

std::uint64_t RunStore::bytes(RunFile file) const {
  const std::lock_guard lock(budget_->mutex_);
  return size(file);
}
std::uint64_t RunStore::bytes_on_disk() const {
  const std::lock_guard lock(budget_->mutex_);
  return size_on_disk();
}

std::uint64_t RunStore::size(RunFile file) const {
  struct stat status {};
  const int fd = ticket_.files.at(file);
  if (fd < 0 || ::fstat(fd, &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}
std::uint64_t RunStore::size_on_disk() const {
  std::uint64_t all = 0;
  for (RunFile file = kInMemory + 1; file != kRunFiles; ++file) all += size(file);
  return all;
}

}  // namespace bulkhead::detail
