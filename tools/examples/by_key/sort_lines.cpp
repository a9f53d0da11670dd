// SPDX-License-Identifier: MIT
//
// Sorts the lines of files that may be much larger than the memory it may take, in MiB:
//
//   example_sort_lines 64 '/usr/share/doc/*/copyright'
#include <bulkhead/keyed_job.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: %s MIB PATTERN\n", argv[0]), 2;
  bulkhead::Pool pool;
  const auto by_line = [](std::string_view some, auto& emit) {
    for (const std::string_view line : bulkhead::lines(some)) emit(line);
  };
  auto lines = pool.job<std::string, std::uint64_t>()
                   .input(bulkhead::text(argv[2]))
                   .map(by_line)
                   .reduce(bulkhead::count)
                   .memory(std::strtoull(argv[1], nullptr, 10) << 20)
                   .run();
  for (const auto& [line, number] : lines.sorted()) {
    for (std::uint64_t i = 0; i < number; ++i) std::puts(line.c_str());
  }
  std::fprintf(stderr, "%s\n", lines.stats().summary().c_str());
}
