// SPDX-License-Identifier: MIT
// The workloads as templates. A program brings only its own way to run a function over elements,
// so inputs, timing and the check of every result are the same for bulkhead and for its peers.
// peers/python_peer.py repeats them for the Python peers.
//
// `map` takes a vector and returns the vector of results; `apply` takes and returns one number;
// `cycle` creates a pool, returns its answer to 41 and destroys it.

#pragma once

#include "bench.hpp"
#include "processes.hpp"
#include "tasks.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::size_t kSmallBytes = std::size_t{4} * 1024;
inline constexpr std::size_t kLargeBytes = std::size_t{16} * 1024 * 1024;
inline constexpr std::size_t kMaxInputBytes = std::size_t{2} * 1024 * 1024 * 1024;  // of one map
inline constexpr std::size_t kWarmUpCalls = 100;
inline constexpr std::size_t kTinyTasks = 100'000;  // before those of `uneven-after-tiny`

/// `count` values of `bytes` bytes each (a multiple of 8), every one different.
inline std::vector<Bytes> make_items(std::size_t count, std::size_t bytes) {
  require(bytes >= 8 && bytes % 8 == 0, "the bytes of an item must be a multiple of 8");
  require(count <= kMaxInputBytes / bytes, "the items would take more than 2 GiB");
  std::vector<Bytes> items(count);
  std::uint64_t seed = 0;
  for (Bytes& item : items) {
    item.resize(bytes);
    std::uint64_t word = ++seed * 0x9e3779b97f4a7c15u;
    for (std::size_t at = 0; at < bytes; at += sizeof word) {
      word ^= word << 13, word ^= word >> 7, word ^= word << 17;  // xorshift64
      std::memcpy(item.data() + at, &word, sizeof word);
    }
  }
  return items;
}

/// Seconds that `map(inputs)` takes, after a warm-up that leaves the allocator with the memory that
/// results need: the kernel's handing out of fresh pages costs every peer the same, and more than
/// most of them.
template <typename T, typename Map, typename Function>
double time_map(const std::vector<T>& inputs, Map map, Function function) {
  verify(inputs, map(inputs), function);

  std::vector<T> results;
  const double taken = seconds([&] { results = map(inputs); });
  verify(inputs, results, function);
  return taken;
}

template <typename Map>
Figure noop(const Request& request, Map map) {
  std::vector<std::int64_t> inputs(request.size);
  std::iota(inputs.begin(), inputs.end(), 0);
  return {static_cast<double>(request.size) / time_map(inputs, map, increment), "tasks/s"};
}

template <typename Apply>
Figure latency(const Request& request, Apply apply) {
  std::vector<double> taken;
  taken.reserve(request.size);
  for (std::size_t i = 0; i < kWarmUpCalls + request.size; ++i) {
    const auto x = static_cast<std::int64_t>(i);
    std::int64_t y = 0;
    const double call = seconds([&] { y = apply(x); });
    if (y != increment(x)) fail("wrong result of call " + std::to_string(i));
    if (i >= kWarmUpCalls) taken.push_back(call);
  }
  const double mean =
      std::accumulate(taken.begin(), taken.end(), 0.0) / static_cast<double>(taken.size());
  const auto late = taken.begin() + static_cast<std::ptrdiff_t>(taken.size() * 99 / 100);
  std::nth_element(taken.begin(), late, taken.end());
  const double p99 = *late;
  return {median(std::move(taken)) * 1e6, "us", {{"mean_us", mean * 1e6}, {"p99_us", p99 * 1e6}}};
}

/// `open(size)` begins a stream of the results of increment() for 0 to size - 1, as a range; its
/// first result is read `parameter` seconds before the others. Details: by how much the resident
/// memory of this process was larger meanwhile than before.
template <typename Open>
Figure stream(const Request& request, Open open) {
  constexpr std::size_t kBetweenLooks = 1'000'000;
  for (const std::int64_t result : open(kWarmUpCalls)) require(result != 0, "wrong result");
  const std::int64_t before = resident_bytes();
  std::int64_t most = before;
  std::int64_t read = 0;
  const std::chrono::seconds pause(request.parameter);
  const double taken = seconds([&] {
    for (const std::int64_t result : open(request.size)) {
      require(result == ++read, "wrong result of a stream");
      if (read == 1) std::this_thread::sleep_for(pause);
      if (static_cast<std::size_t>(read) % kBetweenLooks == 1) {
        most = std::max(most, resident_bytes());
      }
    }
  });
  require(static_cast<std::size_t>(read) == request.size, "a stream has lost results");
  const double used = taken - std::chrono::duration<double>(pause).count();
  return {static_cast<double>(request.size) / used,
          "items/s",
          {{"growth_mib", static_cast<double>(most - before) / (1 << 20)}}};
}

inline double square(double x) {
  return x * x;
}

/// `sum(values)` is the sum of square() of all of them, in any bracketing.
template <typename Sum>
Figure reduce(const Request& request, Sum sum) {
  std::vector<double> values(request.size);
  std::iota(values.begin(), values.end(), 1.0);
  const double n = static_cast<double>(request.size);
  const double expected = n * (n + 1) * (2 * n + 1) / 6;
  const auto check = [&](double result) {
    require(std::abs(result / expected - 1) < 1e-9, "a wrong sum");
  };
  check(sum(values));
  double result = 0;
  const double taken = seconds([&] { result = sum(values); });
  check(result);
  return {n / taken, "items/s"};
}

template <typename Map>
Figure small(const Request& request, Map map) {
  const auto inputs = make_items(request.size, kSmallBytes);
  return {static_cast<double>(request.size) / time_map(inputs, map, increment_all), "items/s"};
}

/// Items of `bytes` bytes, there and back.
template <typename Map>
Figure transfer(std::size_t count, std::size_t bytes, Map map) {
  const auto inputs = make_items(count, bytes);
  const double both_ways = 2.0 * static_cast<double>(count) * static_cast<double>(bytes);
  return {both_ways / time_map(inputs, map, increment_first) / 1e9, "GB/s"};
}

template <typename Map>
Figure large(const Request& request, Map map) {
  return transfer(request.size, kLargeBytes, map);
}

template <typename Map>
Figure payload(const Request& request, Map map) {
  return transfer(request.size, request.parameter, map);
}

/// Memory that the program has used before it makes a pool.
class Ballast {
 public:
  explicit Ballast(std::size_t mebibytes) : bytes_(mebibytes << 20) {
    if (bytes_ == 0) return;
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    std::memset(memory_, 1, bytes_);
  }
  ~Ballast() {
    if (bytes_ != 0) ::munmap(memory_, bytes_);
  }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

 private:
  std::size_t bytes_;
  void* memory_ = nullptr;
};

/// The parameter is the mebibytes that the program has touched before.
template <typename Cycle>
Figure startup(const Request& request, Cycle cycle) {
  const Ballast ballast(request.parameter);
  std::vector<double> taken(request.size);
  for (double& one : taken) {
    std::int64_t answer = 0;
    one = seconds([&] { answer = cycle(); });
    require(answer == 42, "wrong answer of a new pool");
  }
  return {median(std::move(taken)) * 1e3, "ms"};
}

/// Equal tasks of work(): `map(steps, seeds)` against a plain loop, before it and after it.
struct AgainstSerial {
  double serial = 0;    ///< seconds of the loop
  double parallel = 0;  ///< seconds of the map

  template <typename Map>
  AgainstSerial(std::size_t tasks, std::chrono::nanoseconds duration, Map map) {
    const std::uint64_t steps = steps_for(duration);
    std::vector<std::uint64_t> seeds(tasks);
    std::iota(seeds.begin(), seeds.end(), 1);
    std::vector<std::uint64_t> expected(tasks);
    const auto loop = [&] {
      for (std::size_t i = 0; i < tasks; ++i) expected[i] = work(steps, seeds[i]);
    };
    const double before = seconds(loop);
    verify(expected, map(steps, seeds));
    std::vector<std::uint64_t> results;
    parallel = seconds([&] { results = map(steps, seeds); });
    verify(expected, results);
    serial = (before + seconds(loop)) / 2;
  }

  [[nodiscard]] double speedup() const { return serial / parallel; }
};

inline constexpr std::chrono::milliseconds kCpuTask{20};

/// The share of the workers' time that went into the tasks: 1 is a speed-up by as many as there
/// are workers.
template <typename Map>
Figure cpu(const Request& request, Map map) {
  const AgainstSerial times(request.size, kCpuTask, map);
  return {times.speedup() / static_cast<double>(request.workers), "efficiency"};
}

template <typename Map>
Figure speedup(const Request& request, Map map) {
  return {AgainstSerial(request.size, kCpuTask, map).speedup(), "speed-up"};
}

/// The parameter is the nanoseconds that a task takes.
template <typename Map>
Figure duration(const Request& request, Map map) {
  const AgainstSerial times(request.size, std::chrono::nanoseconds(request.parameter), map);
  return {static_cast<double>(request.size) / times.parallel,
          "tasks/s",
          {{"speedup", times.speedup()}}};
}

/// Durations of tasks in nanoseconds, from standard input; before them `tiny` tasks of none.
inline std::vector<std::int64_t> read_durations(std::size_t count, std::size_t tiny) {
  std::vector<std::int64_t> durations(tiny, 0);
  for (std::int64_t one = 0; durations.size() < tiny + count && std::cin >> one;) {
    durations.push_back(one);
  }
  require(durations.size() == tiny + count, "too few durations on standard input");
  return durations;
}

/// Milliseconds that tasks of the durations on standard input take, after `parameter` tiny ones.
template <typename Map>
Figure uneven(const Request& request, Map map) {
  const auto durations = read_durations(request.size, request.parameter);
  return {time_map(durations, map, busy) * 1e3, "ms"};
}

}  // namespace bench
