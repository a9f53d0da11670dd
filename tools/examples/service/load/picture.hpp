// SPDX-License-Identifier: MIT
//
// Images of which it is known what the service must answer.
#pragma once

#include <cstdint>
#include <string>

namespace load {

struct Sample {
  std::string file;  ///< a PNG image, of rows of one colour each
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  double red = 0;  ///< mean; so are the others
  double green = 0;
  double blue = 0;
};

/// The same for the same seed.
Sample make_sample(std::uint32_t seed);

/// Nothing, or how the body of an answer is not the right one.
std::string compare(const Sample& sample, const std::string& answer);

}  // namespace load
