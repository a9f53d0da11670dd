// SPDX-License-Identifier: MIT
// The `index` workload by threads of one process, without isolation: each reads its share of the
// documents into a table of its own, with a list of numbers for each word; in the end the lists are
// put together. Table and tokenizer are bulkhead's own. Words have 15 bytes at the most.

#include "bench.hpp"
#include "peers/word_table.hpp"
#include "words.hpp"
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

/// Numbers, of which the table copies no more than this.
struct List {
  std::uint32_t* numbers = nullptr;
  std::uint32_t size = 0;
  std::uint32_t room = 0;
  std::uint32_t last = 0;  ///< or the only one, if there is no memory yet

  void append(const std::uint32_t* more, std::uint32_t count) {
    if (room < size + count) {
      room = std::max(2 * room, size + count + 4);
      numbers = static_cast<std::uint32_t*>(std::realloc(numbers, room * sizeof *numbers));
    }
    std::memcpy(numbers + size, more, count * sizeof *numbers);
    size += count;
    last = numbers[size - 1];
  }
  void settle() {
    if (size == 0) append(&last, 1);
  }
};
using Table = bulkhead::detail::CombinerTable<List>;

void add_document(List& list, List&& one) {
  list.settle();
  if (list.last != one.last) list.append(&one.last, 1);
}
void join(List& list, List&& other) {
  list.settle();
  other.settle();
  list.append(other.numbers, other.size);
}

void index_share(std::span<const std::string> paths, std::uint32_t first, Table& table) {
  std::vector<char> text;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const int fd = ::open(paths[i].c_str(), O_RDONLY | O_CLOEXEC);
    text.resize(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)) + 16);
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    bench::require(got > 0, "a document cannot be read");
    ::close(fd);
    const List document{nullptr, 0, 0, first + static_cast<std::uint32_t>(i)};
    bench::put_words({text.data(), static_cast<std::size_t>(got)}, document, table, add_document);
  }
}

bench::Figure index(const bench::Request& request) {
  const std::string folder = bench::documents_folder(request.size);
  bench::Postings found;
  const double taken = bench::seconds([&] {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      paths.push_back(entry.path());
    std::ranges::sort(paths);
    std::vector<std::unique_ptr<Table>> tables;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < request.workers; ++i) {
      Table& table =
          *tables.emplace_back(std::make_unique<Table>(bench::kNoLimit, bench::kNoLimit / 8));
      const std::size_t begin = paths.size() * i / request.workers;
      const std::size_t end = paths.size() * (i + 1) / request.workers;
      threads.emplace_back([&paths, begin, end, &table] {
        index_share(std::span(paths).subspan(begin, end - begin), static_cast<std::uint32_t>(begin),
                    table);
      });
    }
    for (std::jthread& thread : threads) thread.join();
    Table& all = *tables.front();
    for (std::size_t i = 1; i < tables.size(); ++i) bench::put_all(*tables[i], all, join);
    all.walk(0, 0, [&](Table::Slot& slot) {
      slot.value.settle();
      found.add(all.bytes_of(slot.key), {slot.value.numbers, slot.value.size});
    });
  });
  return found.figure(taken, request.size);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"index", index}});
}
