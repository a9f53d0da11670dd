// SPDX-License-Identifier: MIT
//
// Lines of the form "field: text", such as logs and package descriptions have them: how many there
// are of each field, and how long their texts are. Prints field, number, median, 90th percentile:
//
//   example_log_analysis '/usr/share/doc/*/copyright'
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Lengths {
  std::uint64_t number = 0;
  std::uint32_t median = 0;
  std::uint32_t ninetieth = 0;
};

/// The nearest rank, so that it is one of the values.
std::uint32_t percentile(const std::vector<std::uint32_t>& sorted, std::size_t percent) {
  return sorted[(sorted.size() * percent + 99) / 100 - 1];
}

Lengths summarize(const std::string&, bulkhead::Values<std::uint32_t>& values) {
  std::vector<std::uint32_t> lengths = values.to_vector();
  std::ranges::sort(lengths);
  return {lengths.size(), percentile(lengths, 50), percentile(lengths, 90)};
}

constexpr auto kByField = [](std::string_view lines, auto& emit) {
  for (const std::string_view line : bulkhead::lines(lines)) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos || line.find(' ') < colon) {
      emit.count("other lines");
    } else {
      emit(line.substr(0, colon), static_cast<std::uint32_t>(line.size() - colon - 2));
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s PATTERN\n", argv[0]), 2;
  bulkhead::Pool pool;
  auto fields = pool.map_reduce_by_key<std::string, std::uint32_t>(
      bulkhead::text(argv[1]), kByField, bulkhead::group(summarize));
  for (const auto& [field, lengths] : fields.sorted())
    std::printf("%s\t%ju\t%u\t%u\n", field.c_str(), static_cast<std::uintmax_t>(lengths.number),
                lengths.median, lengths.ninetieth);
  for (const auto& [name, number] : fields.counters())
    std::fprintf(stderr, "%s: %ju\n", name.c_str(), static_cast<std::uintmax_t>(number));
}
