// SPDX-License-Identifier: MIT
// oneTBB: the same work on threads of one process. What isolation costs is the distance
// from here; a crash of a task takes all with it.

#include "bench.hpp"
#include "peers/thread_pools.hpp"
#include "tasks.hpp"
#include "workloads.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

namespace {

/// The calling thread is one of them.
class TbbPool {
 public:
  explicit TbbPool(std::size_t threads)
      : limit_(tbb::global_control::max_allowed_parallelism, threads) {}

  /// One task per element (grain 1, never merged).
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

  [[nodiscard]] double sum_of_squares(const std::vector<double>& values) {
    return tbb::parallel_reduce(
        tbb::blocked_range<std::size_t>(0, values.size()), 0.0,
        [&](const auto& range, double sum) {
          for (std::size_t i = range.begin(); i < range.end(); ++i) sum += bench::square(values[i]);
          return sum;
        },
        std::plus<>{});
  }

 private:
  tbb::global_control limit_;
};

/// The caller hands each call to the other thread and sleeps until it is answered.
bench::Figure latency(const bench::Request& request) {
  const TbbPool pool(request.workers + 1);
  static std::atomic<bool> answered;  // static: the other thread may notify after the last answer
  std::int64_t y = 0;
  tbb::task_arena other_thread(1, 0);
  return bench::latency(request, [&](std::int64_t x) {
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

}  // namespace

int main(int argc, char** argv) {
  return bench::run_thread_pool<TbbPool>(argc, argv, latency);
}
