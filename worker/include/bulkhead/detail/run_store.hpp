// SPDX-License-Identifier: MIT
//
// RunStore: the coordinator's end of the files that the runs of a keyed job lie in.
#pragma once

#include <bulkhead/detail/run_files.hpp>

#include <cstdint>
#include <string>

namespace bulkhead::detail {

/// Files of the coordinator's for the runs of one job, as long as this lives.
class RunStore {
 public:
  /// Of so many bytes in memory at the most, as far as the workers have heard of it; the rest in a
  /// file in `folder`. Throws SystemError.
  RunStore(std::uint64_t memory, std::string folder);
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;
  ~RunStore();

  [[nodiscard]] const RunTicket& ticket() const { return ticket_; }
  /// For the next run. Throws SystemError.
  RunFile choose();
  /// Bytes that were taken of it.
  [[nodiscard]] std::uint64_t bytes(RunFile file) const;

 private:
  void open_on_disk();

  const std::uint64_t memory_;
  const std::string folder_;
  RunTicket ticket_;
  RunWords* words_ = nullptr;
};

}  // namespace bulkhead::detail
