// SPDX-License-Identifier: MIT
//
// The words of a text, and how often each occurs. Prints word, tab, number:
//
//   example_word_count '/usr/share/common-licenses/*'
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s PATTERN\n", argv[0]), 2;
  bulkhead::Pool pool;
  const auto count_words = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : bulkhead::words(lines)) emit(word);
  };
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(bulkhead::text(argv[1]),
                                                                   count_words, bulkhead::sum);
  for (const auto& [word, count] : counts.sorted())
    std::printf("%s\t%ju\n", word.c_str(), static_cast<std::uintmax_t>(count));
}
