// SPDX-License-Identifier: MIT
// What the C++ benchmark programs share: a clock, the check of results, and the main() around
// them. The workloads themselves are in workloads.hpp.
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
#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace bench {

inline constexpr std::size_t kMaxSize = 10'000'000;  // elements
inline constexpr std::size_t kMaxWorkers = 64;
inline constexpr std::size_t kMaxParameter = std::size_t{1} << 30;
inline constexpr unsigned kDeadlineSeconds = 110;  // then SIGALRM ends the program

/// What one run of a program is asked to do.
struct Request {
  std::size_t size = 0;       ///< elements, calls or cycles
  std::size_t workers = 2;    ///< of the pool
  std::size_t parameter = 0;  ///< what a sweep varies: nanoseconds of a task, bytes of an element

  [[nodiscard]] int worker_count() const { return static_cast<int>(workers); }
};

/// Something measured along with a figure.
struct Detail {
  std::string_view name;
  double value = 0;
};

/// What a program measured.
struct Figure {
  double value = 0;
  std::string_view unit;
  std::vector<Detail> details = {};
};

/// One thing that a program can measure, by the name given on its command line.
struct Mode {
  std::string_view name;
  Figure (*run)(const Request& request);
};

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

/// Requires results[i] == expected[i] for all i.
template <typename T>
void verify(const std::vector<T>& expected, const std::vector<T>& results) {
  require(results.size() == expected.size(), "wrong number of results");
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (results[i] != expected[i]) fail("wrong result at index " + std::to_string(i));
  }
}

/// Requires results[i] == function(inputs[i]) for all i.
template <typename T, typename Function>
void verify(const std::vector<T>& inputs, const std::vector<T>& results, Function function) {
  require(results.size() == inputs.size(), "wrong number of results");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (results[i] != function(inputs[i])) fail("wrong result at index " + std::to_string(i));
  }
}

/// A number from `least` to `most`, as given on the command line.
inline std::size_t parse_number(std::string_view text, std::size_t least, std::size_t most) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc{} && end == text.data() + text.size();
  if (!good || number < least || number > most) {
    fail("not a number from " + std::to_string(least) + " to " + std::to_string(most) + ": " +
         std::string(text));
  }
  return number;
}

inline void print(const Figure& figure) {
  std::printf("{\"value\": %.9g, \"unit\": \"%s\"", figure.value, std::string(figure.unit).c_str());
  for (const Detail& detail : figure.details) {
    std::printf(", \"%s\": %.9g", std::string(detail.name).c_str(), detail.value);
  }
  std::puts("}");
}

/// main() of every program, called as `PROGRAM MODE SIZE [WORKERS [PARAMETER]]`: prints the figure
/// as one JSON line.
inline int run_program(int argc, char** argv, std::initializer_list<Mode> modes) try {
  require(argc >= 3 && argc <= 5, "usage: PROGRAM MODE SIZE [WORKERS [PARAMETER]]");
  const auto mode = std::find_if(modes.begin(), modes.end(),
                                 [&](const Mode& known) { return known.name == argv[1]; });
  if (mode == modes.end()) fail("unknown mode " + std::string(argv[1]));
  Request request;
  request.size = parse_number(argv[2], 1, kMaxSize);
  if (argc > 3) request.workers = parse_number(argv[3], 1, kMaxWorkers);
  if (argc > 4) request.parameter = parse_number(argv[4], 0, kMaxParameter);
  ::alarm(kDeadlineSeconds);
  print(mode->run(request));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

}  // namespace bench
