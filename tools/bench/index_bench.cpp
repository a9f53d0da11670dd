// SPDX-License-Identifier: MIT
// `index`: which of `size` documents each word is in, by Pool::map_reduce_by_key.

#include "bench.hpp"
#include "words.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Numbers = std::vector<std::uint32_t>;

bench::Figure index(const bench::Request& request) {
  const std::string folder = bench::documents_folder(request.size);
  bulkhead::Pool pool(request.worker_count());
  const auto by_word = [](const bulkhead::File& file, auto& emit) {
    for (const std::string_view word : bulkhead::words(file.text))
      emit(word, static_cast<std::uint32_t>(file.number));
  };
  const auto collect = [](const std::string&, bulkhead::Values<std::uint32_t>& numbers) {
    Numbers documents;
    for (const std::uint32_t number : numbers) {
      if (documents.empty() || documents.back() != number) documents.push_back(number);
    }
    return documents;
  };
  bench::Postings found;
  const double taken = bench::seconds([&] {
    auto words = pool.map_reduce_by_key<std::string, std::uint32_t>(
        bulkhead::files(folder + "/*"), by_word, bulkhead::group(collect));
    for (const auto& [word, documents] : words) found.add(word, documents);
  });
  return found.figure(taken, request.size);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"index", index}});
}
