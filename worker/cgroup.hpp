// SPDX-License-Identifier: MIT
//
// A cgroup (version 2) for each worker, below a folder that the user has been given for that:
//
//   FOLDER/bulkhead-PID-N/         of one pool, made by the coordinator
//                        EPOCH/    of one worker, made by the zygote before it forks it
//
// The zygote removes a worker's when that has ended, and all of them when it ends itself.
#pragma once

#include <bulkhead/limits.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace bulkhead::detail {

/// The folder of one pool.
class PoolCgroup {
 public:
  /// None: the limits name no cgroup. Throws InvalidArgument or SystemError, which name the folder,
  /// if that is no cgroup of version 2, or not ours to use.
  explicit PoolCgroup(const Limits& limits);
  /// One that another process has made, and looks after.
  PoolCgroup(std::string path, std::uint64_t memory) : path_(std::move(path)), memory_(memory) {}
  PoolCgroup(const PoolCgroup&) = delete;
  PoolCgroup& operator=(const PoolCgroup&) = delete;
  /// Removes what is left, in the process that made it.
  ~PoolCgroup();

  explicit operator bool() const { return !path_.empty(); }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Of one worker.

  /// Returns 0 or an errno.
  [[nodiscard]] int make(std::uint64_t epoch) const;
  /// The calling process goes into it. False if the system refuses.
  [[nodiscard]] bool join(std::uint64_t epoch) const;
  /// Processes in it that the kernel has killed as its memory did not suffice.
  [[nodiscard]] int oom_kills(std::uint64_t epoch) const;
  /// Kills all that is in it and removes it. Where that takes time, it is done by remove_all().
  void remove(std::uint64_t epoch) const;
  /// Removes all that can be removed, and the folder.
  void remove_all() const;

 private:
  [[nodiscard]] std::string worker(std::uint64_t epoch) const;

  std::string path_;
  std::uint64_t memory_ = 0;  ///< bytes
  int owner_ = 0;             ///< the process that made it
};

}  // namespace bulkhead::detail
