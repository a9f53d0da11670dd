// SPDX-License-Identifier: MIT
//
// The data of sections 2 and 3: small images of handwritten digits, read from a CSV file
// (see data/README.md).

#pragma once

#include <string>

#include <Eigen/Core>

namespace demo {

inline constexpr int kPixels = 64;   // 8 x 8, row by row
inline constexpr int kClasses = 10;  // digits 0 to 9

struct Digits {
  Eigen::MatrixXd pixels;  // one row per image, kPixels columns, scaled to [0, 1]
  Eigen::VectorXi labels;  // the digit each row shows

  Eigen::Index size() const { return labels.size(); }
};

/// Reads a file of one header line and rows of kPixels values (0 to 16) and a label (0 to 9).
/// Throws std::runtime_error that names the file and the line when a row is anything else.
Digits load_digits(const std::string& path);

}  // namespace demo
