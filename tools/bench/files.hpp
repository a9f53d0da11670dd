// SPDX-License-Identifier: MIT
// Files that workloads read: made where they are missing, and kept.

#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <vector>

namespace bench {

/// That of this program.
inline std::filesystem::path own_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

/// Reads it once, so that nobody waits for a disk.
inline void bring_into_page_cache(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> part(std::size_t{1} << 20);
  while (in.read(part.data(), static_cast<std::streamsize>(part.size()))) {
  }
}

}  // namespace bench
