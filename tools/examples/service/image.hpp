// SPDX-License-Identifier: MIT
//
// What the service does with an image: in a worker, as images come from anywhere and the decoder is
// C code with a history.
#pragma once

#include <cstdint>
#include <string>

namespace service {

struct Picture {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  double red = 0;  ///< mean over all pixels, 0 to 255; so are the others
  double green = 0;
  double blue = 0;
};

/// The most pixels that an image may have: its file says how many, and memory is taken for them.
inline constexpr std::uint64_t kMostPixels = 16'000'000;

/// Pure: may be run again after a crash. Throws std::invalid_argument if `file` is not a PNG image
/// that can be read.
Picture measure(const std::string& file);

}  // namespace service
