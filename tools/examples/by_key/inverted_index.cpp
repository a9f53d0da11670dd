// SPDX-License-Identifier: MIT
//
// Which files is each word in? Prints word, tab, the names of the files:
//
//   example_inverted_index '/usr/share/common-licenses/*'
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace {

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// Names come in the order of the files; a file that has a word twice gives its name twice.
std::string join_names(const std::string&, bulkhead::Values<std::string>& names) {
  std::string all;
  std::string last;
  for (const std::string& name : names) {
    if (name == last) continue;
    last = name;
    all += (all.empty() ? "" : " ") + name;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s PATTERN\n", argv[0]), 2;
  bulkhead::Pool pool;
  const auto by_word = [](const bulkhead::File& file, auto& emit) {
    for (const std::string_view word : bulkhead::words(file.text))
      emit(word, std::string(name_of(file.path)));
  };
  auto index = pool.map_reduce_by_key<std::string, std::string>(bulkhead::files(argv[1]), by_word,
                                                                bulkhead::group(join_names));
  for (const auto& [word, names] : index.sorted())
    std::printf("%s\t%s\n", word.c_str(), names.c_str());
}
