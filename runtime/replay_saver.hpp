// SPDX-License-Identifier: MIT
//
// ReplaySaver: writes failed tasks of one call to files from which they can be run again. One
// thread at a time.
#pragma once

#include "runtime/log.hpp"
#include <bulkhead/detail/job.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace bulkhead::detail {

class ReplaySaver {
 public:
  /// Both are used as long as it lasts.
  ReplaySaver(const std::string& directory, const Log& log) : directory_(directory), log_(log) {}

  /// Saves the task, if `details` are of such a failure, and notes the file there. Calls the codec
  /// of the argument. What goes wrong is told to the log only.
  void save(const Job& job, std::uint64_t task, std::span<const std::byte> definition,
            FailureDetails& details);

 private:
  std::string write(const Job& job, std::uint64_t task, std::span<const std::byte> definition,
                    const FailureDetails& details);

  const std::string& directory_;
  const Log& log_;
  std::uint64_t call_ = 0;  ///< its number in the directory; 0: it has left nothing there yet
  int files_ = 0;
  std::uint64_t bytes_ = 0;  ///< of all of them
};

}  // namespace bulkhead::detail
