// SPDX-License-Identifier: MIT
//
// Reads the digits; see digits.hpp.

#include "digits.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace demo {
namespace {

constexpr int kMaxPixel = 16;
constexpr int kColumns = kPixels + 1;

using Row = std::array<int, kColumns>;

/// Takes one number in [0, max] off the front of `text`; what follows it must be `end`.
int take_number(std::string_view& text, int max, std::string_view end) {
  int value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || value > max) {
    throw std::runtime_error("expected a number from 0 to " + std::to_string(max));
  }
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  if (end.empty() ? !text.empty() : !text.starts_with(end)) {
    throw std::runtime_error("expected " + std::to_string(kColumns) + " numbers with commas");
  }
  text.remove_prefix(end.size());
  return value;
}

Row parse_row(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  Row row{};
  for (std::size_t i = 0; i < kPixels; ++i) row[i] = take_number(line, kMaxPixel, ",");
  row[kPixels] = take_number(line, kClasses - 1, "");
  return row;
}

std::vector<Row> read_rows(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  std::vector<Row> rows;
  std::string line;
  std::getline(file, line);  // the names of the columns
  for (int number = 2; std::getline(file, line); ++number) {
    try {
      rows.push_back(parse_row(line));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  if (rows.empty()) throw std::runtime_error(path + ": no rows");
  return rows;
}

}  // namespace

Digits load_digits(const std::string& path) {
  const std::vector<Row> rows = read_rows(path);
  const auto count = static_cast<Eigen::Index>(rows.size());
  Digits digits{Eigen::MatrixXd(count, kPixels), Eigen::VectorXi(count)};
  for (Eigen::Index i = 0; i < count; ++i) {
    const Row& row = rows[static_cast<std::size_t>(i)];
    const Eigen::Map<const Eigen::RowVectorXi> values(row.data(), kPixels);
    digits.pixels.row(i) = values.cast<double>() / kMaxPixel;
    digits.labels[i] = row.back();
  }
  return digits;
}

}  // namespace demo
