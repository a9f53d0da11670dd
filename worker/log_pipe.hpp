// SPDX-License-Identifier: MIT
//
// Log messages of a worker, on their way to the coordinator: whole messages, in order, through a
// pipe.
#pragma once

#include "worker/descriptor.hpp"
#include "worker/pipe.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// The worker's end. Any thread.
class LogSender {
 public:
  /// `running()` is the number of the task that runs, or ran last; 0: none has.
  LogSender(Descriptor fd, std::function<std::uint64_t()> running)
      : fd_(std::move(fd)), running_(std::move(running)) {
    latest_ = fd_.get();
  }
  /// The descriptor of the last one made in this process, or in those that it was forked from: what
  /// is logged in workers of a task's own pool goes there too, if that pool has no logger. -1: none
  /// was made.
  [[nodiscard]] static int descriptor() { return latest_; }
  /// Waits where the coordinator is behind. Cuts what is longer than 64 KiB.
  void send(std::uint32_t level, std::string_view text);

 private:
  Descriptor fd_;
  std::function<std::uint64_t()> running_;
  std::mutex mutex_;
  std::vector<char> message_;

  inline static std::atomic<int> latest_ = -1;
};

/// The coordinator's end. The constructor throws SystemError.
class LogPipe {
 public:
  [[nodiscard]] int fd() const { return pipe_.read_end.get(); }
  [[nodiscard]] const Descriptor& worker_end() const { return pipe_.write_end; }
  void close_worker_end() { pipe_.write_end.reset(); }

  using Take = std::function<void(std::uint32_t level, std::uint64_t task, std::string_view text)>;
  /// Takes the messages that are there. False if there may be more.
  bool read(const Take& take);

 private:
  [[nodiscard]] std::size_t take_messages(const Take& take) const;

  Pipe pipe_;
  std::vector<char> bytes_;  ///< that have come, and make no whole message yet
};

}  // namespace bulkhead::detail
