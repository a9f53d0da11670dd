// SPDX-License-Identifier: MIT
//
// The most frequent words of a text, from files or from the standard input. Prints number, tab,
// word:
//
//   example_top_words 10 '/usr/share/common-licenses/*'
//   zcat changelog.gz | example_top_words 10 -
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: %s NUMBER PATTERN|-\n", argv[0]), 2;
  bulkhead::Pool pool;
  const auto count_words = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : bulkhead::words(lines)) emit(word);
  };
  const auto count_all = [&](auto&& input) {
    return pool.map_reduce_by_key<std::string, std::uint64_t>(input, count_words, bulkhead::sum);
  };
  auto counts = argv[2] == std::string_view("-") ? count_all(bulkhead::text(std::cin))
                                                 : count_all(bulkhead::text(argv[2]));
  for (const auto& [word, count] : counts.top(std::strtoul(argv[1], nullptr, 10)))
    std::printf("%ju\t%s\n", static_cast<std::uintmax_t>(count), word.c_str());
  std::fprintf(stderr, "%s\n", counts.stats().summary().c_str());
}
