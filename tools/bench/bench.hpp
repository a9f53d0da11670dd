// SPDX-License-Identifier: MIT
// What the C++ benchmark programs share: the five workloads as templates, and the main() around
// them. A program brings only its own way to run a function over elements, so inputs, timing
// and the check of every result are the same for bulkhead and for its peers.
// peers/python_peer.py repeats these workloads for the Python peers.
//
//   int main(int argc, char** argv) {
//     return bench::run_program(argc, argv, {{"noop", noop}, {"latency", latency}});
//   }

#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bench {

using Bytes = std::vector<std::byte>;

inline constexpr std::size_t kSmallBytes = std::size_t{4} * 1024;
inline constexpr std::size_t kLargeBytes = std::size_t{16} * 1024 * 1024;
inline constexpr std::size_t kMaxSize = 10'000'000;                                 // elements
inline constexpr std::size_t kMaxInputBytes = std::size_t{2} * 1024 * 1024 * 1024;  // of one map
inline constexpr std::size_t kWarmUpCalls = 100;
inline constexpr unsigned kDeadlineSeconds = 110;  // then SIGALRM ends the program

/// What a program measured.
struct Figure {
  double value;
  std::string_view unit;
};

/// One thing that a program can measure, by the name given on its command line.
struct Mode {
  std::string_view name;
  Figure (*run)(std::size_t size);
};

// The three functions that the workloads call.

inline std::int64_t increment(std::int64_t x) {
  return x + 1;
}

inline Bytes increment_all(Bytes bytes) {
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(std::to_integer<int>(byte) + 1);
  return bytes;
}

inline Bytes increment_first(Bytes bytes) {
  bytes.front() = static_cast<std::byte>(std::to_integer<int>(bytes.front()) + 1);
  return bytes;
}

/// Wall-clock seconds that `work()` takes.
template <typename Work>
double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// REQUIRES: values is not empty.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Ends the program with `message` on stderr, by way of run_program.
[[noreturn]] inline void fail(const std::string& message) {
  throw std::runtime_error(message);
}

/// Fails with `message` unless `good`. Takes no time, so timed code may call it.
inline void require(bool good, const char* message) {
  if (!good) fail(message);
}

/// `count` values of `bytes` bytes each (a multiple of 8), every one different.
inline std::vector<Bytes> make_items(std::size_t count, std::size_t bytes) {
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

/// Requires results[i] == function(inputs[i]) for all i.
template <typename T, typename Function>
void verify(const std::vector<T>& inputs, const std::vector<T>& results, Function function) {
  require(results.size() == inputs.size(), "wrong number of results");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (results[i] != function(inputs[i])) fail("wrong result at index " + std::to_string(i));
  }
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

// The workloads. `map` takes a vector and returns the vector of results, `apply` takes and
// returns one number, `cycle` creates a pool, returns its answer to 41 and destroys it.

template <typename Map>
Figure noop(std::size_t size, Map map) {
  std::vector<std::int64_t> inputs(size);
  for (std::size_t i = 0; i < size; ++i) inputs[i] = static_cast<std::int64_t>(i);
  return {static_cast<double>(size) / time_map(inputs, map, increment), "tasks/s"};
}

template <typename Apply>
Figure latency(std::size_t size, Apply apply) {
  std::vector<double> taken;
  taken.reserve(size);
  for (std::size_t i = 0; i < kWarmUpCalls + size; ++i) {
    const auto x = static_cast<std::int64_t>(i);
    std::int64_t y = 0;
    const double call = seconds([&] { y = apply(x); });
    if (y != increment(x)) fail("wrong result of call " + std::to_string(i));
    if (i >= kWarmUpCalls) taken.push_back(call);
  }
  return {median(std::move(taken)) * 1e6, "us"};
}

template <typename Map>
Figure small(std::size_t size, Map map) {
  const auto inputs = make_items(size, kSmallBytes);
  return {static_cast<double>(size) / time_map(inputs, map, increment_all), "items/s"};
}

template <typename Map>
Figure large(std::size_t size, Map map) {
  const auto inputs = make_items(size, kLargeBytes);
  const double both_ways = 2.0 * static_cast<double>(size) * kLargeBytes;
  return {both_ways / time_map(inputs, map, increment_first) / 1e9, "GB/s"};
}

template <typename Cycle>
Figure startup(std::size_t size, Cycle cycle) {
  std::vector<double> taken(size);
  for (double& one : taken) {
    std::int64_t answer = 0;
    one = seconds([&] { answer = cycle(); });
    require(answer == 42, "wrong answer of a new pool");
  }
  return {median(std::move(taken)) * 1e3, "ms"};
}

/// The number of elements or calls, as given on the command line.
inline std::size_t parse_size(std::string_view text) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  const bool number = error == std::errc{} && end == text.data() + text.size();
  if (!number || size == 0 || size > kMaxSize) {
    fail("SIZE must be from 1 to " + std::to_string(kMaxSize));
  }
  return size;
}

/// main() of every program, called as `PROGRAM MODE SIZE`: prints the figure as one JSON line.
inline int run_program(int argc, char** argv, std::initializer_list<Mode> modes) try {
  require(argc == 3, "usage: PROGRAM MODE SIZE");
  const auto mode = std::find_if(modes.begin(), modes.end(),
                                 [&](const Mode& known) { return known.name == argv[1]; });
  if (mode == modes.end()) fail("unknown mode " + std::string(argv[1]));
  const std::size_t size = parse_size(argv[2]);
  ::alarm(kDeadlineSeconds);
  const Figure figure = mode->run(size);
  std::printf("{\"value\": %.9g, \"unit\": \"%s\"}\n", figure.value,
              std::string(figure.unit).c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

}  // namespace bench
