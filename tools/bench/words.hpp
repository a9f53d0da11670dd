// SPDX-License-Identifier: MIT
// The text of the `words` workload: words of Zipf's law, always the same for a size.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

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

}  // namespace bench
