// SPDX-License-Identifier: MIT
//
// The worker's end of a trace: it writes down when each task begins and ends. Where a pool traces
// nothing there is none, and no cost.
#pragma once

#include "worker/memory.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace bulkhead::detail {

class TaskTrace {
 public:
  TaskTrace(const Memory& outbox, std::size_t ring_bytes)
      : outbox_(outbox), ring_bytes_(ring_bytes) {}

  void begin(std::uint64_t number) const {
    TraceRecord& record = trace_record(outbox_, ring_bytes_, number);
    record.ended_at.store(0, std::memory_order_relaxed);
    record.began_at.store(now(), std::memory_order_relaxed);
    record.number.store(number, std::memory_order_release);
  }
  /// Before it is answered.
  void end(std::uint64_t number) const {
    trace_record(outbox_, ring_bytes_, number).ended_at.store(now(), std::memory_order_relaxed);
  }

 private:
  static std::int64_t now() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  const Memory& outbox_;
  const std::size_t ring_bytes_;
};

}  // namespace bulkhead::detail
