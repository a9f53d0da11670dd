// SPDX-License-Identifier: MIT
// The texts of the `words` and `index` workloads, always the same for a size.

#pragma once

#include "bench.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bench {

/// A file of about `mib` MiB of words, `distinct` different ones at the most, some to a line; the
/// k-th most frequent one comes with a probability that goes with 1 / k, or (`uniform`) all come
/// alike. Made where it is missing, beside the program, and kept.
struct WordsFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t words = 0;
  std::uint64_t sum = 0;  ///< of digest(word), over all words
};
[[nodiscard]] WordsFile words_file(std::size_t mib, std::size_t distinct, bool uniform);

/// After FNV-1a by Fowler, Noll and Vo.
inline std::uint64_t digest(const char* word, std::size_t size) {
  std::uint64_t hash = 14695981039346656037U;
  for (std::size_t i = 0; i < size; ++i) {
    hash = (hash ^ static_cast<unsigned char>(word[i])) * 1099511628211U;
  }
  return hash;
}

/// A folder of so many files of 20 kB, with words by Zipf's law of 200,000; in the page cache.
std::string documents_folder(std::size_t count);

/// What the `index` workload has found: the peers must agree in it.
struct Postings {
  std::uint64_t words = 0;
  std::uint64_t numbers = 0;
  std::uint64_t sum = 0;

  void add(std::string_view word, std::span<const std::uint32_t> documents) {
    ++words;
    numbers += documents.size();
    std::uint64_t mixed = 0;
    for (const std::uint32_t number : documents) mixed = mixed * 31 + number;
    sum += mixed ^ digest(word.data(), word.size());
  }
  [[nodiscard]] Figure figure(double taken, std::size_t documents) const {
    return {static_cast<double>(documents) * 20'000 / taken * 1e-9,
            "GB/s",
            {{"seconds", taken},
             {"words", static_cast<double>(words)},
             {"postings", static_cast<double>(numbers)},
             {"sum", static_cast<double>(sum % 1'000'000)}}};
  }
};

}  // namespace bench
