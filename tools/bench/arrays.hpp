// SPDX-License-Identifier: MIT
// The file of the `squares` and `histogram` workloads, and what is to be found in it. `size` is in
// thousands of doubles.
#pragma once

#include "bench.hpp"
#include "files.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace bench {

inline constexpr std::size_t kBins = 256;
using Histogram = std::array<std::uint64_t, kBins>;

/// In eight strands, so that one addition need not wait for the one before.
inline double sum_of_squares(std::span<const double> values) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size()) {
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += values[i + k] * values[i + k];
  }
  double sum = 0;
  for (; i < values.size(); ++i) sum += values[i] * values[i];
  for (const double part : sums) sum += part;
  return sum;
}

/// Of values from 0 to 1. Four tables, so that equal values need not wait for one another.
inline void count_bins(std::span<const double> values, std::uint64_t* bins) {
  std::array<std::array<std::uint32_t, kBins>, 4> tables{};
  const auto bin = [](double value) { return static_cast<std::size_t>(value * kBins); };
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (std::size_t k = 0; k < 4; ++k) ++tables[k][bin(values[i + k])];
  }
  for (; i < values.size(); ++i) ++tables[0][bin(values[i])];
  for (const auto& table : tables) {
    for (std::size_t k = 0; k < kBins; ++k) bins[k] += table[k];
  }
}

/// Uniform from 0 to 1, the same for the same size; in the page cache.
inline std::string doubles_file(std::size_t thousands) {
  const std::string path = own_folder() / ("doubles-" + std::to_string(thousands) + ".bin");
  if (!std::filesystem::exists(path)) {
    std::vector<double> some(1000);
    std::mt19937_64 random(thousands);
    std::ofstream out(path + ".draft", std::ios::binary);
    for (std::size_t i = 0; i < thousands; ++i) {
      for (double& value : some) value = static_cast<double>(random() >> 11) * 0x1p-53;
      out.write(reinterpret_cast<const char*>(some.data()), 8 * 1000);
    }
    out.close();
    require(out.good(), "the doubles cannot be written");
    std::filesystem::rename(path + ".draft", path);
  }
  require(std::filesystem::file_size(path) == thousands * 8000,
          "not the doubles that were written");
  bring_into_page_cache(path);
  return path;
}

inline Figure rate(const Request& request, double taken) {
  return {static_cast<double>(request.size) * 8000 / taken * 1e-9, "GB/s", {{"seconds", taken}}};
}

/// What is to be expected of so many uniform values, within what chance may do.
inline void require_squares(double sum, std::size_t thousands) {
  const double expected = static_cast<double>(thousands) * 1000 / 3;
  require(sum > expected * 0.99 && sum < expected * 1.01, "wrong sum");
}
inline void require_bins(std::span<const std::uint64_t> bins, std::size_t thousands) {
  std::uint64_t all = 0;
  for (const std::uint64_t count : bins) all += count;
  require(bins.size() == kBins && all == thousands * 1000, "wrong histogram");
}

}  // namespace bench
