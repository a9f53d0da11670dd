// SPDX-License-Identifier: MIT
//
// RunStore: the coordinator's end of the files that the runs of a keyed job lie in.
#pragma once

#include <bulkhead/detail/run_files.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// Files of the coordinator's for the runs of one job, as long as this lives.
class RunStore {
 public:
  /// Of so many bytes in memory at the most, as far as the workers have heard of it; what is more
  /// goes to files in the folders, fewer than kRunFiles, to each in turn: so many bytes there at
  /// the most, with the same proviso. Throws SystemError.
  RunStore(std::uint64_t memory, std::vector<std::string> folders, std::uint64_t limit,
           FunctionToken compression = {});
  /// An empty one that may have what this one has not taken. Throws SystemError.
  [[nodiscard]] std::shared_ptr<RunStore> another() const;
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;
  ~RunStore();

  /// For those who read.
  [[nodiscard]] const RunTicket& ticket() const { return ticket_; }
  /// For somebody who is going to write.
  [[nodiscard]] RunTicket ticket_to_write();
  /// That could not be written to. False: and there is no other. Throws SystemError if that was not
  /// a matter of room, but there is no file to be had, or none was wanted.
  bool give_up(RunFile file);
  /// Bytes that were written to it.
  [[nodiscard]] std::uint64_t bytes(RunFile file) const;
  [[nodiscard]] std::uint64_t bytes_on_disk() const;

 private:
  void open_on_disk(RunFile file);
  [[noreturn]] void refuse_disk() const;

  const std::uint64_t memory_;
  const std::vector<std::string> folders_;
  const std::uint64_t limit_;
  RunTicket ticket_;
  std::vector<RunFile> in_use_;  ///< on disks
  std::size_t next_ = 0;
  std::string no_file_;  ///< why there is none on a disk
  int error_ = 0;        ///< the number of that
};

}  // namespace bulkhead::detail
