// SPDX-License-Identifier: MIT
#include <bulkhead/error.hpp>
#include <bulkhead/keyed_result.hpp>

#include <spdlog/fmt/fmt.h>

namespace bulkhead::detail {

bool is_pattern(std::string_view path) {
  return path.find('{') != std::string_view::npos;
}

void refuse_pattern(const std::string& path) {
  if (!is_pattern(path)) return;
  throw InvalidArgument("bulkhead: sorted pairs are written to one file, and \"" + path +
                        "\" is a pattern for the names of many");
}

std::string part_name(const std::string& pattern, std::uint64_t number) {
  try {
    return fmt::format(fmt::runtime(pattern), number);
  } catch (const fmt::format_error& error) {
    throw InvalidArgument(
        "bulkhead: \"" + pattern +
        "\" is no pattern for the names of parts, such as part-{:05}.tsv: " + error.what());
  }
}

}  // namespace bulkhead::detail
