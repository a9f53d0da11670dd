// SPDX-License-Identifier: MIT
//
// RunStore: the coordinator's end of the files that the runs of a keyed job lie in.
#pragma once

#include <bulkhead/detail/run_files.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// Files of the coordinator's for the runs of one job, as long as this lives.
class RunStore {
 public:
  /// Of so many bytes in memory at the most, as far as the workers have heard of it; what is more
  /// goes to files in the folders, fewer than kRunFiles, to each in turn: so many bytes there at
  /// the most, with the same proviso. Throws SystemError.
  RunStore(std::uint64_t memory, std::vector<std::string> folders, std::uint64_t limit);
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;
  ~RunStore();

  [[nodiscard]] const RunTicket& ticket() const { return ticket_; }
  /// For the next run. Throws SystemError if there is no room, or no file to be had.
  RunFile choose();
  /// Nothing more can be written to that file. False: it was the last one.
  bool give_up(RunFile file);
  /// Bytes that were written to it.
  [[nodiscard]] std::uint64_t bytes(RunFile file) const;
  [[nodiscard]] std::uint64_t bytes_on_disk() const;

 private:
  void open_on_disk(RunFile file);

  const std::uint64_t memory_;
  const std::vector<std::string> folders_;
  const std::uint64_t limit_;
  RunTicket ticket_;
  std::vector<RunFile> in_use_;  ///< on disks
  std::size_t next_ = 0;
};

}  // namespace bulkhead::detail
