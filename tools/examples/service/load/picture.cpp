// SPDX-License-Identifier: MIT
#include "picture.hpp"

#include <cmath>
#include <png.h>
#include <random>
#include <stdexcept>
#include <vector>

#include <nlohmann/json.hpp>

namespace load {
namespace {

std::string encode(const Sample& sample, const std::vector<png_byte>& pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = sample.width;
  image.height = sample.height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr) == 0)
    throw std::runtime_error(image.message);
  file.resize(size);
  return file;
}

}  // namespace

Sample make_sample(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> channel(0, 255);
  Sample sample;
  sample.width = 32 + random() % 256;
  sample.height = 32 + random() % 256;
  std::vector<png_byte> pixels;
  for (std::uint32_t y = 0; y < sample.height; ++y) {
    const int red = channel(random);
    const int green = channel(random);
    const int blue = channel(random);
    sample.red += red;
    sample.green += green;
    sample.blue += blue;
    for (std::uint32_t x = 0; x < sample.width; ++x) {
      for (const int value : {red, green, blue}) pixels.push_back(static_cast<png_byte>(value));
    }
  }
  for (double* mean : {&sample.red, &sample.green, &sample.blue}) *mean /= sample.height;
  sample.file = encode(sample, pixels);
  return sample;
}

std::string compare(const Sample& sample, const std::string& answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  const auto number = [&json](const char* pointer) {
    return json.value(nlohmann::json::json_pointer(pointer), -1.0);
  };
  const auto same = [&](const char* pointer, double expected) {
    return std::abs(number(pointer) - expected) < 1e-6;
  };
  const bool right = json.is_object() && same("/width", sample.width) &&
                     same("/height", sample.height) && same("/mean/red", sample.red) &&
                     same("/mean/green", sample.green) && same("/mean/blue", sample.blue);
  return right ? "" : "not what the image is: " + answer;
}

}  // namespace load
