// SPDX-License-Identifier: MIT
//
// Words of a text, counted by two workers; and where each is found. Neither the text nor the result
// need fit into memory, and a worker that dies costs nobody else's words.
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

/// A text of 10,000 lines.
std::string make_text() {
  const auto path = std::filesystem::temp_directory_path() / "bulkhead-word-count.txt";
  std::ofstream out(path);
  for (int i = 0; i < 5'000; ++i) out << "a ship has walls\nthat keep a breach small\n";
  return path;
}

int main() {
  const std::string path = make_text();
  bulkhead::Pool pool(2);

  const auto count_words = [](std::string_view some_lines, auto& emit) {
    for (const std::string_view word : bulkhead::words(some_lines)) emit(word);
  };
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(bulkhead::text(path),
                                                                   count_words, bulkhead::sum);
  for (const auto& [word, count] : counts.top(3))
    std::printf("%s: %d\n", word.c_str(), static_cast<int>(count));

  // All values of a key come in the order of the input.
  const auto by_size = [](std::string_view some_lines, auto& emit) {
    for (const std::string_view word : bulkhead::words(some_lines))
      emit(static_cast<int>(word.size()), std::string(word));
  };
  const auto first_and_number = [](int, bulkhead::Values<std::string>& words) {
    std::string first;
    int number = 0;
    for (const std::string& word : words) {
      if (number++ == 0) first = word;
    }
    return first + " and " + std::to_string(number - 1) + " others";
  };
  auto sizes = pool.map_reduce_by_key<int, std::string>(bulkhead::text(path), by_size,
                                                        bulkhead::group(first_and_number));
  for (const auto& [size, what] : sizes.sorted()) std::printf("%d: %s\n", size, what.c_str());
  std::filesystem::remove(path);
}

// Prints:
// a: 10000
// breach: 5000
// has: 5000
// 1: a and 9999 others
// 3: has and 4999 others
// 4: ship and 14999 others
// 5: walls and 9999 others
// 6: breach and 4999 others
