// SPDX-License-Identifier: MIT
//
// What tasks write to their standard streams, on its way from the worker to the coordinator: one
// pipe for each stream.
//
// A pipe carries bytes without names. So the worker, when a task has ended and some of its bytes
// have not been read yet, puts a mark with the task's number behind them. The reader looks at the
// bytes (tee(2)) before it takes them, and at the number of the running task before and after that:
// if it is the same, bytes behind the last mark are that task's; if not, a mark will follow.
#pragma once

#include "worker/descriptor.hpp"
#include "worker/pipe.hpp"
#include <bulkhead/output.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// What tells a mark from text; chosen at random for each pool.
using MarkSecret = std::array<char, 16>;
[[nodiscard]] MarkSecret make_mark_secret();

struct OutputMark {
  MarkSecret secret;
  std::uint64_t task = 0;  ///< by the worker's count, from 1; 0: none, before the first
};
static_assert(sizeof(OutputMark) == 24);

// The worker's end.

/// From now on this process writes there; for Output::discard, into nothing.
void redirect_output(Output mode, Descriptor out, Descriptor err, const MarkSecret& secret);
/// What was written up to now is the output of `task`. Nothing, where nothing was redirected. False
/// if that is lost, and will be, as a task has closed descriptors that are not its own.
[[nodiscard]] bool mark_output(std::uint64_t task);

// The coordinator's end.

/// A pipe into which one look at another's bytes fits. The constructor throws SystemError.
class PeekPipe {
 public:
  /// What `fd`, a pipe, holds; it keeps it. Empty if there is nothing. Valid until the next call.
  std::string_view look_into(int fd);

 private:
  [[nodiscard]] bool grow_to(int fd);
  void drain();

  Pipe pipe_;
  std::vector<char> bytes_;
};

/// The constructor throws SystemError.
class OutputPipe {
 public:
  [[nodiscard]] int fd() const { return pipe_.read_end.get(); }
  [[nodiscard]] const Descriptor& worker_end() const { return pipe_.write_end; }
  void close_worker_end() { pipe_.write_end.reset(); }

  /// Gets the number of a task, 0 for none, and what it has written.
  using Take = std::function<void(std::uint64_t task, std::string_view text)>;
  /// Takes what is there. `running()` is the number of the task that runs, or ran last. False if
  /// there may be more, as it has stopped for the sake of others.
  bool read(PeekPipe& peek, const MarkSecret& secret, const std::function<std::uint64_t()>& running,
            const Take& take);

 private:
  void drop(std::size_t bytes);

  Pipe pipe_;
};

/// Writes `text` to one of this process's standard streams. False if not all of it could be
/// written: the stream has taken nothing for a second, or nothing now that it has not before.
/// Raises no signal. Any thread.
bool print(int stream, std::string_view text);

}  // namespace bulkhead::detail
