// SPDX-License-Identifier: MIT
#include <bulkhead/keyed_stats.hpp>

#include <array>
#include <cmath>
#include <cstddef>

#include <spdlog/fmt/fmt.h>

namespace bulkhead {
namespace {

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 || value >= 100 ? fmt::format("{:.0f} {}", value, kUnits.at(unit))
                                   : fmt::format("{:.1f} {}", value, kUnits.at(unit));
}

double ratio(std::uint64_t all, std::uint64_t part) {
  return part == 0 ? 1 : static_cast<double>(all) / static_cast<double>(part);
}

}  // namespace

std::string KeyedStats::summary() const {
  std::string text = fmt::format(
      "{} in {:.2f} s: {} pairs, combined {:.1f}x in {} runs, {} keys in {} partitions; {} of "
      "memory",
      bytes_text(input_bytes), std::chrono::duration<double>(elapsed).count(), emitted,
      ratio(emitted, sealed), runs, keys, partitions, bytes_text(peak_bytes));
  if (spilled_bytes != 0) text += ", " + bytes_text(spilled_bytes) + " spilled";
  if (retried != 0) text += fmt::format("; {} run again", retried);
  if (skipped != 0) text += fmt::format("; {} of {} pieces skipped", skipped, pieces + skipped);
  return text;
}

}  // namespace bulkhead
