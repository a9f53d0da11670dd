// SPDX-License-Identifier: MIT
// What pools of threads are asked to do, one as the other. A Pool is made from a number of threads,
// and its map(function, inputs) gives each element to a task of its own, which gets a copy of it,
// as between processes. sum_of_squares(values) is as good as it can.

#pragma once

#include "bench.hpp"
#include "tasks.hpp"
#include "workloads.hpp"

#include <cstdint>

namespace bench {

template <typename Pool>
struct OnThreads {
  static Figure noop(const Request& request) {
    Pool pool(request.workers);
    return bench::noop(request, mapped(pool, increment));
  }

  static Figure reduce(const Request& request) {
    Pool pool(request.workers);
    return bench::reduce(request, [&](const auto& values) { return pool.sum_of_squares(values); });
  }

  static Figure small(const Request& request) {
    Pool pool(request.workers);
    return bench::small(request, mapped(pool, increment_all));
  }

  static Figure large(const Request& request) {
    Pool pool(request.workers);
    return bench::large(request, mapped(pool, increment_first));
  }

  static Figure payload(const Request& request) {
    Pool pool(request.workers);
    return bench::payload(request, mapped(pool, increment_first));
  }

  static Figure uneven(const Request& request) {
    Pool pool(request.workers);
    return bench::uneven(request, mapped(pool, busy));
  }

  static Figure cpu(const Request& request) {
    Pool pool(request.workers);
    return bench::cpu(request, work(pool));
  }

  static Figure speedup(const Request& request) {
    Pool pool(request.workers);
    return bench::speedup(request, work(pool));
  }

  static Figure duration(const Request& request) {
    Pool pool(request.workers);
    return bench::duration(request, work(pool));
  }

 private:
  template <typename Function>
  static auto mapped(Pool& pool, Function function) {
    return [&pool, function](const auto& inputs) { return pool.map(function, inputs); };
  }

  static auto work(Pool& pool) {
    return [&pool](std::uint64_t steps, const auto& seeds) {
      return pool.map([steps](std::uint64_t seed) { return bench::work(steps, seed); }, seeds);
    };
  }
};

/// main() of such a program; `latency` is how one call after the other is made there.
template <typename Pool>
int run_thread_pool(int argc, char** argv, Figure (*latency)(const Request&)) {
  using On = OnThreads<Pool>;
  return run_program(argc, argv,
                     {{"noop", On::noop},
                      {"latency", latency},
                      {"reduce", On::reduce},
                      {"small", On::small},
                      {"large", On::large},
                      {"payload", On::payload},
                      {"cpu", On::cpu},
                      {"speedup", On::speedup},
                      {"duration", On::duration},
                      {"uneven", On::uneven}});
}

}  // namespace bench
