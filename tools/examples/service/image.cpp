// SPDX-License-Identifier: MIT
#include "image.hpp"

#include <cstddef>
#include <memory>
#include <png.h>
#include <stdexcept>
#include <vector>

namespace service {
namespace {

constexpr std::size_t kChannels = 3;

struct Free {
  void operator()(png_image* image) const { png_image_free(image); }
};

[[noreturn]] void refuse(const png_image& image) {
  throw std::invalid_argument(std::string("not a PNG image: ") + image.message);
}

}  // namespace

Picture measure(const std::string& file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, Free> guard(&image);
  if (png_image_begin_read_from_memory(&image, file.data(), file.size()) == 0) refuse(image);
  const std::uint64_t pixels = std::uint64_t{image.width} * image.height;
  if (pixels > kMostPixels) {
    throw std::invalid_argument("the image has " + std::to_string(pixels) +
                                " pixels; this service takes " + std::to_string(kMostPixels));
  }

  image.format = PNG_FORMAT_RGB;
  const png_color black{};  // behind what is transparent
  std::vector<png_byte> bytes(pixels * kChannels);
  if (png_image_finish_read(&image, &black, bytes.data(), 0, nullptr) == 0) refuse(image);

  std::uint64_t sums[kChannels] = {};
  for (std::size_t i = 0; i < bytes.size(); i += kChannels) {
    for (std::size_t channel = 0; channel < kChannels; ++channel)
      sums[channel] += bytes[i + channel];
  }
  const auto count = static_cast<double>(pixels);
  return {image.width, image.height, static_cast<double>(sums[0]) / count,
          static_cast<double>(sums[1]) / count, static_cast<double>(sums[2]) / count};
}

}  // namespace service
