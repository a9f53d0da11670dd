// SPDX-License-Identifier: MIT
// oneTBB: the same work on threads of one process. What isolation costs is the distance
// from here; a crash of a task takes all with it.

#include "bench.hpp"
#include "tasks.hpp"
#include "workloads.hpp"

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

/// The calling thread is one of them.
class Threads {
 public:
  explicit Threads(std::size_t count)
      : limit_(tbb::global_control::max_allowed_parallelism, count) {}

 private:
  tbb::global_control limit_;
};

bench::Figure noop(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::noop(request, [](const auto& inputs) { return map(bench::increment, inputs); });
}

/// The caller hands each call to the other thread and sleeps until it is answered.
bench::Figure latency(const bench::Request& request) {
  const Threads threads(request.workers + 1);
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

bench::Figure small(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::small(request, [](const auto& items) { return map(bench::increment_all, items); });
}

bench::Figure large(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::large(request,
                      [](const auto& items) { return map(bench::increment_first, items); });
}

bench::Figure payload(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::payload(request,
                        [](const auto& items) { return map(bench::increment_first, items); });
}

std::vector<std::uint64_t> work(std::uint64_t steps, const std::vector<std::uint64_t>& seeds) {
  return map([steps](std::uint64_t seed) { return bench::work(steps, seed); }, seeds);
}

bench::Figure cpu(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::cpu(request, work);
}

bench::Figure speedup(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::speedup(request, work);
}

bench::Figure duration(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::duration(request, work);
}

bench::Figure uneven(const bench::Request& request) {
  const Threads threads(request.workers);
  return bench::uneven(request, [](const auto& durations) { return map(bench::busy, durations); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"noop", noop},
                             {"latency", latency},
                             {"small", small},
                             {"large", large},
                             {"payload", payload},
                             {"cpu", cpu},
                             {"speedup", speedup},
                             {"duration", duration},
                             {"uneven", uneven}});
}
