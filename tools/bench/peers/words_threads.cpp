// SPDX-License-Identifier: MIT
// The `words` workload by threads of one process, without isolation: each maps its part of the file
// and counts in a table of its own, which grows as it likes; in the end they are put together.
// `words-tiny`: in a table that has no room for words of more than 7 bytes.

#include "bench.hpp"
#include "peers/word_table.hpp"
#include "words.hpp"
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/text.hpp>

#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using bulkhead::detail::PackedKey;
using bulkhead::detail::TinyKey;

void add(std::uint64_t& sum, std::uint64_t&& more) {
  sum += more;
}

/// Ends of the parts, at line ends.
std::vector<std::string_view> parts_of(std::string_view text, std::size_t count) {
  std::vector<std::string_view> parts;
  for (std::size_t left = count; left != 0; --left) {
    std::size_t end = text.size() / left;
    if (left != 1) end = text.find('\n', end) + 1;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

template <class Key>
bench::Figure count(const bench::Request& request, bool uniform) {
  using Table = bulkhead::detail::CombinerTable<std::uint64_t, Key>;
  const bench::WordsFile file = bench::words_file(request.size, request.parameter * 1000, uniform);
  std::uint64_t distinct = 0;
  std::uint64_t words = 0;
  std::uint64_t sum = 0;
  const double taken = bench::seconds([&] {
    const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
    void* const mapped = ::mmap(nullptr, file.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    bench::require(mapped != MAP_FAILED, "the text cannot be mapped");
    const std::string_view text(static_cast<const char*>(mapped), file.bytes);
    std::vector<std::unique_ptr<Table>> tables;
    std::vector<std::jthread> threads;
    for (const std::string_view part : parts_of(text, request.workers)) {
      Table& table =
          *tables.emplace_back(std::make_unique<Table>(bench::kNoLimit, bench::kNoLimit / 8));
      threads.emplace_back(
          [part, &table] { bench::put_words(part, std::uint64_t{1}, table, add); });
    }
    for (std::jthread& thread : threads) thread.join();
    Table& all = *tables.front();
    for (std::size_t i = 1; i < tables.size(); ++i) bench::put_all(*tables[i], all, add);
    all.walk(0, 0, [&](typename Table::Slot& slot) {
      const PackedKey key = slot.key.packed();
      const std::string_view word = all.bytes_of(key);
      ++distinct;
      words += slot.value;
      sum += slot.value * bench::digest(word.data(), word.size());
    });
    ::munmap(mapped, file.bytes);
    ::close(fd);
  });
  bench::require(words == file.words && sum == file.sum, "wrong counts");
  return {static_cast<double>(file.bytes) / taken * 1e-9,
          "GB/s",
          {{"seconds", taken}, {"distinct", static_cast<double>(distinct)}}};
}

bench::Figure words(const bench::Request& request) {
  return count<PackedKey>(request, false);
}
bench::Figure words_tiny(const bench::Request& request) {
  return count<TinyKey>(request, false);
}
bench::Figure words_uniform(const bench::Request& request) {
  return count<PackedKey>(request, true);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(
      argc, argv, {{"words", words}, {"words-tiny", words_tiny}, {"words-uniform", words_uniform}});
}
