// SPDX-License-Identifier: MIT
//
// What a test and the tasks that it runs have in common although they are different processes:
// memory that all forks share, and numbers in it that can be waited for.
//
//   const Shared<Tally> begun;                       // at namespace scope: older than any pool
//   int task(int x) { begun->add(); return x; }      // in a worker
//   EXPECT_TRUE(begun->reaches(4));                  // in the test
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <type_traits>

namespace bulkhead::test {

/// Longest wait for what should happen at once: only a hang takes so long.
inline constexpr std::chrono::seconds kPatience{30};

/// Memory that this process shares with its later forks: zeroed. Never given back. Where pools are
/// tested whose workers are of this program started anew, it has that memory at the same calls:
/// then it is not zeroed in there.
struct SharedMemory {
  void* begin;
  bool is_new;  ///< no process has it yet
};
SharedMemory map_shared(std::size_t bytes);

/// A T in memory that this process and its later forks share.
template <class T>
  requires std::is_trivially_destructible_v<T>
class Shared {
 public:
  Shared() : Shared(map_shared(sizeof(T))) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }
  /// Back to the beginning; nobody may use it meanwhile.
  void reset() const { new (value_) T{}; }

 private:
  explicit Shared(SharedMemory memory)
      : value_(memory.is_new ? new (memory.begin) T{} : static_cast<T*>(memory.begin)) {}

  T* value_;
};

/// A number that only grows. Any process may add and wait.
class Tally {
 public:
  void add(std::uint32_t more = 1);
  [[nodiscard]] std::uint32_t value() const { return value_.load(); }
  /// Waits until it is at least `wanted`; false if that took longer than `limit`.
  [[nodiscard]] bool reaches(std::uint32_t wanted,
                             std::chrono::milliseconds limit = kPatience) const;

 private:
  std::atomic<std::uint32_t> value_{0};
};

/// Tasks that tell that they have begun, and last until a gate is opened.
struct Gated {
  Tally begun;
  Tally gate;

  /// For a task: returns when the gate is open, or after a minute.
  int wait_for_gate(int x);
};

/// For a task of that duration: keeps a CPU busy.
void work_for(std::chrono::nanoseconds duration);

/// Lets others run for a millisecond.
void pause_a_moment();

/// Looks at `condition` again and again, as nothing tells when it becomes true; false if it did not
/// within the limit.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::milliseconds limit = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    pause_a_moment();
  }
  return true;
}

}  // namespace bulkhead::test
