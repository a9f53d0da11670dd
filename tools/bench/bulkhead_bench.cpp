// SPDX-License-Identifier: MIT
// bulkhead itself, with default settings, on every workload.

#include "bench.hpp"
#include "processes.hpp"
#include "tasks.hpp"
#include "workloads.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/init.hpp>
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <poll.h>
#include <ranges>
#include <signal.h>
#include <span>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

bulkhead::Options options(const bench::Request& request) {
  return {.workers = request.worker_count()};
}

/// CPU time that the calling thread has used so far.
double thread_cpu_nanoseconds() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

/// Details: CPU time of the caller, in which the coordinator runs, per task. It spins for want of
/// answers if there is a CPU to spare, which counts too.
bench::Figure noop(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  double used = 0;
  bench::Figure figure = bench::noop(request, [&](const auto& numbers) {
    const double before = thread_cpu_nanoseconds();
    auto results = pool.map([](std::int64_t x) { return x + 1; }, numbers);
    used = thread_cpu_nanoseconds() - before;
    return results;
  });
  figure.details = {{"coordinator_ns", used / static_cast<double>(request.size)}};
  return figure;
}

bench::Figure latency(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::latency(request, [&](std::int64_t x) {
    return pool.apply([](std::int64_t argument) { return argument + 1; }, x);
  });
}

/// As latency(), but asynchronous: submitted, and completed by an event loop that watches the pool.
bench::Figure async_latency(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  pollfd loop{pool.native_handle(), POLLIN, 0};
  return bench::latency(request, [&](std::int64_t x) {
    auto result = pool.submit(&bench::increment, x);
    while (!result.ready()) {
      ::poll(&loop, 1, -1);
      pool.poll();
    }
    return result.get();
  });
}

bench::Figure stream(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::stream(request, [&](std::size_t size) {
    return pool.imap(&bench::increment,
                     std::views::iota(std::int64_t{0}, static_cast<std::int64_t>(size)));
  });
}

bench::Figure reduce(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::reduce(request, [&](const std::vector<double>& values) {
    return pool.map_reduce(
        values, [](double x) { return bench::square(x); }, std::plus<>{}, 0.0);
  });
}

bench::Figure small(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::small(request, [&](const auto& items) {
    return pool.map([](bench::Bytes bytes) { return bench::increment_all(std::move(bytes)); },
                    items);
  });
}

/// A map that changes the first byte of each item.
auto increment_first(bulkhead::Pool& pool) {
  return [&pool](const auto& items) {
    return pool.map([](bench::Bytes bytes) { return bench::increment_first(std::move(bytes)); },
                    items);
  };
}

bench::Figure large(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::large(request, increment_first(pool));
}

bench::Figure payload(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::payload(request, increment_first(pool));
}

bench::Figure startup(const bench::Request& request) {
  return bench::startup(request, [&] {
    bulkhead::Pool pool(options(request));
    return pool.apply([](std::int64_t x) { return x + 1; }, std::int64_t{41});
  });
}

/// The same from the snapshot of a process that has touched nothing yet.
bench::Figure startup_after_init(const bench::Request& request) {
  bulkhead::init();
  return startup(request);
}

/// A map of `work` over seeds.
auto work(bulkhead::Pool& pool) {
  return [&pool](std::uint64_t steps, const auto& seeds) {
    return pool.map(bulkhead::partial(&bench::work, steps), seeds);
  };
}

bench::Figure cpu(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::cpu(request, work(pool));
}

bench::Figure speedup(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::speedup(request, work(pool));
}

bench::Figure duration(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::duration(request, work(pool));
}

bench::Figure uneven(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  return bench::uneven(request,
                       [&](const auto& durations) { return pool.map(&bench::busy, durations); });
}

/// From the death of the only worker, killed while it idles, to the next answer; in a process that
/// has touched `parameter` MiB before.
bench::Figure recovery(const bench::Request& request) {
  const bench::Ballast ballast(request.parameter);
  bulkhead::Pool pool(options(request));
  std::vector<double> taken(request.size);
  for (double& one : taken) {
    const pid_t worker = pool.apply([] { return ::getpid(); });
    std::this_thread::sleep_for(20ms);  // deaths do not come in a row
    one = bench::seconds([&] {
      bench::require(::kill(worker, SIGKILL) == 0, "the worker cannot be killed");
      for (bool answered = false; !answered;) {
        try {
          const auto answer = pool.apply([](std::int64_t x) { return x + 1; }, std::int64_t{41});
          bench::require(answer == 42, "wrong answer of a new worker");
          answered = true;
        } catch (const bulkhead::RemoteError&) {
          // the signal was slower than the call
        }
      }
    });
    bench::require(pool.apply([] { return ::getpid(); }) != worker, "the worker has not died");
  }
  return {bench::median(std::move(taken)) * 1e3, "ms"};
}

bench::Figure recovery_after_init(const bench::Request& request) {
  bulkhead::init();
  return recovery(request);
}

/// CPU time that a pool uses in `size` seconds after its last call.
bench::Figure idle(const bench::Request& request) {
  bulkhead::Pool pool(options(request));
  const std::vector<std::int64_t> inputs(100'000, 41);
  bench::verify(inputs, pool.map(&bench::increment, inputs), bench::increment);

  // This process comes last, then first, so that the looking itself does not count.
  const std::vector<pid_t> tree = bench::process_tree();
  std::int64_t used = 0;
  std::for_each(tree.rbegin(), tree.rend(),
                [&](pid_t process) { used -= bench::cpu_nanoseconds(process); });
  std::this_thread::sleep_for(std::chrono::seconds(request.size));
  for (const pid_t process : tree) used += bench::cpu_nanoseconds(process);
  return {static_cast<double>(used) * 1e-6, "CPU ms"};
}

/// A map of `size` tasks that each read one page of their own slice of `parameter` MiB, which the
/// caller holds. Details: by how much the memory of all processes grew meanwhile, in percent.
bench::Figure fork_map(const bench::Request& request) {
  constexpr std::size_t kPage = 4096;
  constexpr int kCalls = 5;
  const std::size_t slice = (request.parameter << 20) / request.size / kPage * kPage;
  std::vector<std::byte> memory(slice * request.size);
  std::vector<std::span<const std::byte>> slices;
  std::vector<std::uint64_t> expected;
  for (std::size_t i = 0; i < request.size; ++i) {
    slices.emplace_back(memory.data() + i * slice, slice);
    std::memcpy(memory.data() + i * slice, &i, sizeof i);
    expected.push_back(i + 1);
  }
  const auto read_slice = [](std::span<const std::byte> bytes) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    return number + 1;
  };

  // Asked for at the end of the call, while the workers are there.
  std::int64_t during = 0;
  const bulkhead::CallOptions watched{
      .progress = [&](const auto&) { during = bench::tree_memory_bytes(); }};
  const std::int64_t before = bench::tree_memory_bytes();
  bench::verify(expected, bulkhead::fork_map(read_slice, slices, options(request), watched));
  bench::require(during > 0, "memory was not measured");

  std::vector<double> taken(kCalls);
  for (double& one : taken) {
    std::vector<std::uint64_t> results;
    one =
        bench::seconds([&] { results = bulkhead::fork_map(read_slice, slices, options(request)); });
    bench::verify(expected, results);
  }
  const double grown = static_cast<double>(during - before) / static_cast<double>(memory.size());
  return {bench::median(std::move(taken)) * 1e3, "ms", {{"growth_percent", grown * 100}}};
}

/// `size` tasks that each read one number of an array of `parameter` MiB that was broadcast: from
/// the call to its results, in workers that have not seen the array before. Details: by how much
/// the memory of all processes grew, in percent of the array.
bench::Figure broadcast(const bench::Request& request) {
  const std::size_t count = (request.parameter << 20) / sizeof(std::int64_t);
  const auto table = bulkhead::broadcast<std::int64_t[]>(
      count, [](std::span<std::int64_t> all) { std::iota(all.begin(), all.end(), 0); });
  const auto read = [](const bulkhead::Broadcast<std::int64_t[]>& all, std::size_t at) {
    return all[at] + 1;
  };
  // Memory counts where it is mapped: the caller has all of it, and once.
  const auto sum = std::accumulate(table.begin(), table.end(), std::int64_t{0});
  bench::require(sum == static_cast<std::int64_t>(count * (count - 1) / 2), "a wrong array");
  std::vector<std::size_t> places(request.size);
  std::vector<std::int64_t> expected(request.size);
  for (std::size_t i = 0; i < request.size; ++i) {
    places[i] = i * (count / request.size);
    expected[i] = static_cast<std::int64_t>(places[i]) + 1;
  }
  constexpr int kPools = 5;
  std::vector<double> taken(kPools);
  double grown = 0;
  for (double& one : taken) {
    bulkhead::Pool pool(options(request));
    const std::vector<int> few(100, 1);
    bench::verify(few, pool.map([](int x) { return x; }, few));
    const std::int64_t before = bench::tree_memory_bytes();
    std::vector<std::int64_t> results;
    one = bench::seconds([&] { results = pool.map(bulkhead::partial(read, table), places); });
    grown = static_cast<double>(bench::tree_memory_bytes() - before) /
            static_cast<double>(count * sizeof(std::int64_t));
    bench::verify(expected, results);
  }
  return {bench::median(std::move(taken)) * 1e3, "ms", {{"growth_percent", grown * 100}}};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"noop", noop},
                             {"latency", latency},
                             {"async-latency", async_latency},
                             {"stream", stream},
                             {"reduce", reduce},
                             {"small", small},
                             {"large", large},
                             {"payload", payload},
                             {"startup", startup},
                             {"startup-after-init", startup_after_init},
                             {"cpu", cpu},
                             {"speedup", speedup},
                             {"duration", duration},
                             {"uneven", uneven},
                             {"recovery", recovery},
                             {"recovery-after-init", recovery_after_init},
                             {"idle", idle},
                             {"fork-map", fork_map},
                             {"broadcast", broadcast}});
}
