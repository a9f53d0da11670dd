// SPDX-License-Identifier: MIT
// oneTBB: the same work on two threads of one process. What isolation costs is the distance
// from here; a crash of a task takes all with it.

#include "bench.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

namespace {

constexpr std::size_t kThreads = 2;

/// One task per element (grain 1, never merged). The function gets a copy of its argument and
/// its result is copied out, as between processes.
template <typename T, typename Function>
std::vector<T> map(Function function, const std::vector<T>& inputs) {
  std::vector<T> results(inputs.size());
  tbb::parallel_for(
      tbb::blocked_range<std::size_t>(0, inputs.size(), 1),
      [&](const auto& range) {
        for (std::size_t i = range.begin(); i < range.end(); ++i) {
          const T result = function(inputs[i]);
          results[i] = result;
        }
      },
      tbb::simple_partitioner{});
  return results;
}

class TwoThreads {
  tbb::global_control limit_{tbb::global_control::max_allowed_parallelism, kThreads};
};

bench::Figure noop(std::size_t size) {
  const TwoThreads two_threads;
  return bench::noop(size, [](const auto& inputs) { return map(bench::increment, inputs); });
}

/// The caller hands each call to the other thread and sleeps until it is answered.
bench::Figure latency(std::size_t size) {
  const TwoThreads two_threads;
  static std::atomic<bool> answered;  // static: the other thread may notify after the last answer
  std::int64_t y = 0;
  tbb::task_arena other_thread(1, 0);
  return bench::latency(size, [&](std::int64_t x) {
    answered.store(false, std::memory_order_relaxed);
    other_thread.enqueue([&y, x] {
      y = bench::increment(x);
      answered.store(true, std::memory_order_release);
      answered.notify_one();
    });
    answered.wait(false, std::memory_order_acquire);
    return y;
  });
}

bench::Figure small(std::size_t size) {
  const TwoThreads two_threads;
  return bench::small(size, [](const auto& items) { return map(bench::increment_all, items); });
}

bench::Figure large(std::size_t size) {
  const TwoThreads two_threads;
  return bench::large(size, [](const auto& items) { return map(bench::increment_first, items); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(
      argc, argv, {{"noop", noop}, {"latency", latency}, {"small", small}, {"large", large}});
}
