// SPDX-License-Identifier: MIT
//
// A text file that grows.
#pragma once

#include "worker/descriptor.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead::detail {

class TextFile {
 public:
  /// Makes it, or empties it. Throws SystemError.
  explicit TextFile(std::string path);
  /// All of `text`, or (SystemError) none of it, as far as the file can be cut back.
  void append(std::string_view text);

 private:
  [[noreturn]] void cut_back(int error);

  std::string path_;
  Descriptor fd_;
  std::uint64_t size_ = 0;
};

}  // namespace bulkhead::detail
