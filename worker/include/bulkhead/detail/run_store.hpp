// SPDX-License-Identifier: MIT
//
// RunStore: the coordinator's end of the files that the runs of a keyed job lie in.
#pragma once

#include <bulkhead/detail/run_files.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace bulkhead::detail {

class RunStore;

/// What several stores may take, all together. Any thread.
class RunBudget {
 public:
  RunBudget(std::uint64_t memory, std::uint64_t disk) : memory_(memory), disk_(disk) {}

  [[nodiscard]] std::uint64_t memory() const { return memory_; }
  [[nodiscard]] std::uint64_t disk() const { return disk_; }

 private:
  friend class RunStore;

  const std::uint64_t memory_;  ///< bytes
  const std::uint64_t disk_;    ///< bytes
  std::mutex mutex_;            ///< also of the descriptors of the stores
  std::vector<const RunStore*> stores_;
};

/// Files of the coordinator's for the runs of one job, as long as this lives.
class RunStore {
 public:
  /// Of so many bytes in memory at the most, as far as the workers have heard of it; what is more
  /// goes to files in the folders, fewer than kRunFiles, to each in turn: so many bytes there at
  /// the most, with the same proviso. Throws SystemError.
  RunStore(std::shared_ptr<RunBudget> budget, std::vector<std::string> folders,
           FunctionToken compression = {});
  /// An empty one, of the same budget. Throws SystemError.
  [[nodiscard]] std::shared_ptr<RunStore> another() const;
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;
  ~RunStore();

  /// For those who read.
  [[nodiscard]] const RunTicket& ticket() const { return ticket_; }
  /// For somebody who is going to write.
  [[nodiscard]] RunTicket ticket_to_write();
  /// The file could not be written to. True: what was to be written can be written to another.
  /// Throws SystemError if there is no other to be had, or none was wanted.
  bool give_up(RunFile file, int error);
  /// Bytes that were written to it.
  [[nodiscard]] std::uint64_t bytes(RunFile file) const;
  [[nodiscard]] std::uint64_t bytes_on_disk() const;

 private:
  void open_on_disk(RunFile file);
  [[nodiscard]] std::uint64_t size(RunFile file) const;
  [[nodiscard]] std::uint64_t size_on_disk() const;
  [[noreturn]] void refuse_disk() const;

  const std::shared_ptr<RunBudget> budget_;
  const std::vector<std::string> folders_;
  RunTicket ticket_;
  std::vector<RunFile> in_use_;  ///< on disks
  std::size_t next_ = 0;
  std::string no_file_;  ///< why there is none on a disk
  int error_ = 0;        ///< the number of that
};

}  // namespace bulkhead::detail
