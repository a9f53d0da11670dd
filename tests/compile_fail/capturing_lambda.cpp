// SPDX-License-Identifier: MIT
// Must say: cannot be sent to workers that already run
// Must say: bulkhead::partial
// Must say: bulkhead::fork_map
#include <bulkhead/pool.hpp>

#include <vector>

int main() {
  bulkhead::Pool pool(1);
  int offset = 3;
  return static_cast<int>(pool.map([&](int x) { return x + offset; }, std::vector<int>{1}).size());
}
