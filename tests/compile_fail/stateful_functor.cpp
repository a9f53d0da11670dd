// SPDX-License-Identifier: MIT
// Must say: cannot be sent to workers that already run
// Must say: serialize
#include <bulkhead/pool.hpp>

#include <vector>

struct Add {
  int offset;
  int operator()(int x) const { return x + offset; }
};

int main() {
  bulkhead::Pool pool(1);
  return static_cast<int>(pool.map(Add{3}, std::vector<int>{1}).size());
}
