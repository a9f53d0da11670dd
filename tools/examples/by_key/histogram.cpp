// SPDX-License-Identifier: MIT
//
// How many lines of a text have how many bytes? Prints bytes, tab, lines:
//
//   example_histogram '/usr/share/common-licenses/*'
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s PATTERN\n", argv[0]), 2;
  bulkhead::Pool pool;
  const auto by_length = [](std::string_view lines, auto& emit) {
    for (const std::string_view line : bulkhead::lines(lines)) emit(line.size());
  };
  auto numbers = pool.map_reduce_by_key<std::uint64_t, std::uint64_t>(bulkhead::text(argv[1]),
                                                                      by_length, bulkhead::sum);
  for (const auto& [bytes, lines] : numbers.sorted())
    std::printf("%ju\t%ju\n", static_cast<std::uintmax_t>(bytes),
                static_cast<std::uintmax_t>(lines));
}
