// SPDX-License-Identifier: MIT
// One task as a program of its own, for peers that run commands, and the work of `cpu` in a loop:
//
//   bench_task increment X       prints X + 1
//   bench_task busy NANOSECONDS  spins so long, prints NANOSECONDS + 1
//   bench_task work STEPS SEED   prints the result of so much work
//   bench_task steps NANOSECONDS prints the steps that take so long
//   bench_task loop STEPS COUNT  seconds for the work of seeds 1 to COUNT

#include "bench.hpp"
#include "tasks.hpp"

#include <chrono>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <string_view>
#include <unistd.h>

namespace {

std::uint64_t number(const char* text) {
  return bench::parse_number(text, 0, std::numeric_limits<std::int64_t>::max());
}

/// Does what `argv` says. False if that is nothing known.
bool run(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (argc == 3 && what == "increment") {
    std::printf("%" PRId64 "\n", bench::increment(static_cast<std::int64_t>(number(argv[2]))));
  } else if (argc == 3 && what == "busy") {
    std::printf("%" PRId64 "\n", bench::busy(static_cast<std::int64_t>(number(argv[2]))));
  } else if (argc == 3 && what == "steps") {
    const std::chrono::nanoseconds duration(number(argv[2]));
    std::printf("%" PRIu64 "\n", bench::steps_for(duration));
  } else if (argc == 4 && what == "work") {
    std::printf("%" PRIu64 "\n", bench::work(number(argv[2]), number(argv[3])));
  } else if (argc == 4 && what == "loop") {
    const std::uint64_t steps = number(argv[2]);
    std::uint64_t sum = 0;
    const double taken = bench::seconds([&] {
      for (std::uint64_t seed = number(argv[3]); seed > 0; --seed) sum += bench::work(steps, seed);
    });
    std::printf("%.9f %" PRIu64 "\n", taken, sum);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  ::alarm(bench::kDeadlineSeconds);
  if (run(argc, argv)) return 0;
  std::fputs("usage: see the head of task.cpp\n", stderr);
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
