// SPDX-License-Identifier: MIT
//
// The two memories of one worker. Each is a sealed memfd with exactly one process that can write
// it:
//
//   inbox    written by the coordinator, read-only to the worker
//     0      InboxWords
//     4096   data of the task ring
//   outbox   written by the worker, read-only to the coordinator
//     0      OutboxWords, WorkWords
//     4096   crash page (worker/crash.hpp)
//     12288  data of the answer ring
//     then   TraceRecords, if the pool traces its tasks
//
// No name, no lock, nothing that needs cleaning up: the kernel frees it with the last mapping. A
// mapping in the coordinator is not inherited by its forks and is left out of core dumps.
#pragma once

#include "worker/crash.hpp"
#include "worker/descriptor.hpp"
#include <bulkhead/detail/ring.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <sys/types.h>

#include <boost/interprocess/mapped_region.hpp>

namespace bulkhead::detail {

inline constexpr std::size_t kPageBytes = 4096;
/// F_SEAL_FUTURE_WRITE, which older headers lack.
inline constexpr int kSealFutureWrite = 0x0010;
inline constexpr std::uint64_t kNoBell = ~std::uint64_t{0};

/// What the coordinator writes beside the tasks.
struct alignas(128) InboxWords {
  Position tail;         ///< of the task ring
  Position outbox_head;  ///< of the answer ring
  /// The worker rings the doorbell once it has released the task ring up to here, or has to wait.
  /// kNoBell while the coordinator is awake.
  Position bell_at;
  /// Tasks numbered [revoke_from, revoke_to), counted from the worker's first, must not be begun.
  Position revoke_from;
  Position revoke_to;
  /// The task of that number, from 1, is to end early, if it can: others have nothing to do.
  Position end_early;
  std::atomic<std::uint32_t> wake;      ///< futex of the worker; changes with each wake
  std::atomic<std::uint32_t> may_spin;  ///< 1: there is a CPU to spare for looking before sleeping
};

/// What the worker writes beside the answers.
struct alignas(128) OutboxWords {
  Position tail;        ///< of the answer ring
  Position inbox_head;  ///< of the task ring
  /// Tasks begun so far. One more than answered: the next answer's task is running.
  Position started;
  /// When the last of them that has a time limit began, by the steady clock; kPaused: its time does
  /// not pass now.
  std::atomic<std::int64_t> began_at;
  std::atomic<std::uint32_t> parked;  ///< odd: about to sleep, or asleep
  /// Which element the running task is at, if it is a task of several: see ElementMark; kNoMark
  /// before it is. In a cache line of its own, as it changes with every element.
  alignas(128) Position element;
  /// How often `began_at` was set: see Job::has_steps().
  Position steps;
};
inline constexpr std::uint64_t kNoMark = ~std::uint64_t{0};
inline constexpr std::int64_t kPaused = std::numeric_limits<std::int64_t>::max();

inline constexpr std::size_t kTimeBuckets = 28;
inline constexpr std::size_t kSlowest = 5;

/// What the worker writes of its own time, in nanoseconds: see worker/work_meter.hpp.
struct alignas(128) WorkWords {
  // What seldom changes, apart from the rest, as the coordinator looks at it after each batch.
  std::atomic<std::int64_t> ready_at;       ///< by the steady clock; 0: it is not
  std::atomic<std::uint32_t> slow_changes;  ///< of `slowest`
  struct Slow {
    std::atomic<std::uint64_t> number;  ///< by the worker's count, from 1
    std::atomic<std::int64_t> time;
  };
  std::array<Slow, kSlowest> slowest;  ///< of its tasks; in no order

  alignas(128) std::atomic<std::int64_t> looked_at;  ///< when it looked at the clock last
  std::atomic<std::int64_t> working;
  std::atomic<std::int64_t> serialising;
  std::array<std::atomic<std::uint64_t>, kTimeBuckets> counts;  ///< of tasks, by their time
};

/// When a task began and ended, by the steady clock; where a pool traces its tasks. That of the
/// task with a number is at the number modulo kTraceRecords.
struct TraceRecord {
  std::atomic<std::uint64_t> number;  ///< by the worker's count, from 1
  std::atomic<std::int64_t> began_at;
  std::atomic<std::int64_t> ended_at;
};
inline constexpr std::size_t kTraceRecords = 8192;

/// One side's view of a memfd.
class Memory {
 public:
  enum class Access : std::uint8_t { read_only, read_write };

  /// Maps `bytes` of `fd`. Throws SystemError.
  Memory(const Descriptor& fd, std::size_t bytes, Access access);

  Memory(Memory&&) = default;
  /// In a fork of the process that mapped it there is no mapping, and what is there now is somebody
  /// else's.
  ~Memory();

  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(region_->get_address()); }
  [[nodiscard]] std::size_t size() const { return region_->get_size(); }
  /// Keeps the mapping out of forks of this process and out of its core dumps.
  void keep_private() const;

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
  pid_t owner_;
};

/// A new memfd of `bytes`, sealed against resizing. Throws SystemError.
[[nodiscard]] Descriptor create_memory(std::size_t bytes);
/// From now on nobody can map `fd` writable who has not done so before.
void seal_against_writing(const Descriptor& fd);

/// Where things are in a mapping. Writing through what is mapped read-only is a fault.
inline InboxWords& inbox_words(const Memory& inbox) {
  return *reinterpret_cast<InboxWords*>(inbox.data());
}
inline std::byte* inbox_data(const Memory& inbox) {
  return inbox.data() + kPageBytes;
}
inline OutboxWords& outbox_words(const Memory& outbox) {
  return *reinterpret_cast<OutboxWords*>(outbox.data());
}
inline WorkWords& work_words(const Memory& outbox) {
  static_assert(sizeof(OutboxWords) + sizeof(WorkWords) <= kPageBytes);
  return *reinterpret_cast<WorkWords*>(outbox.data() + sizeof(OutboxWords));
}
inline std::byte* crash_page(const Memory& outbox) {
  return outbox.data() + kPageBytes;
}
inline std::byte* outbox_data(const Memory& outbox) {
  return outbox.data() + kPageBytes + kCrashPageBytes;
}
constexpr std::size_t inbox_bytes(std::size_t ring_bytes) {
  return kPageBytes + ring_bytes;
}
constexpr std::size_t outbox_bytes(std::size_t ring_bytes, bool traces = false) {
  return kPageBytes + kCrashPageBytes + ring_bytes +
         (traces ? kTraceRecords * sizeof(TraceRecord) : 0);
}
/// Of an outbox that has them.
inline TraceRecord& trace_record(const Memory& outbox, std::size_t ring_bytes,
                                 std::uint64_t number) {
  auto* records = reinterpret_cast<TraceRecord*>(outbox.data() + outbox_bytes(ring_bytes));
  return records[number % kTraceRecords];
}

}  // namespace bulkhead::detail
