// SPDX-License-Identifier: MIT
//
// The pipes through which a worker says what is no answer: its tasks' output, its log messages.
// Those that a pool wants, and no others.
#pragma once

#include "worker/log_pipe.hpp"
#include "worker/output.hpp"

#include <array>
#include <optional>
#include <vector>

namespace bulkhead::detail {

/// What a pool wants of its workers' pipes; the same for all of them.
struct VoicePlan {
  Output mode = Output::inherit;
  bool logs = false;  ///< log messages are passed on
  MarkSecret secret{};
  bool traces = false;  ///< tasks' times are written down, in the outbox: see worker/task_trace.hpp

  [[nodiscard]] bool has_streams() const {
    return mode == Output::lines || mode == Output::capture;
  }
  /// True if there is nothing to listen to.
  [[nodiscard]] bool silent() const { return !has_streams() && !logs; }
};

/// The coordinator's ends. Throws SystemError.
struct Voice {
  explicit Voice(const VoicePlan& a_plan) : plan(a_plan) {
    if (plan.has_streams()) streams.emplace();
    if (plan.logs) log.emplace();
  }

  /// Of all pipes, in the order in which the worker gets the other ends.
  [[nodiscard]] std::vector<int> fds() const {
    std::vector<int> all;
    if (streams) all = {(*streams)[0].fd(), (*streams)[1].fd()};
    if (log) all.push_back(log->fd());
    return all;
  }
  [[nodiscard]] std::vector<int> worker_ends() const {
    std::vector<int> all;
    if (streams) all = {(*streams)[0].worker_end().get(), (*streams)[1].worker_end().get()};
    if (log) all.push_back(log->worker_end().get());
    return all;
  }
  void close_worker_ends() {
    if (streams) {
      for (OutputPipe& pipe : *streams) pipe.close_worker_end();
    }
    if (log) log->close_worker_end();
  }

  VoicePlan plan;
  std::optional<std::array<OutputPipe, 2>> streams;  ///< standard output and error
  std::optional<LogPipe> log;
};

}  // namespace bulkhead::detail
