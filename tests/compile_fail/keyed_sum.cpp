// SPDX-License-Identifier: MIT
// Must say: sum and count need a += of values
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <vector>

struct Point {
  int x = 0;
  int y = 0;
};

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, Point{x, x}); };
  auto sums = pool.map_reduce_by_key<int, Point>(std::vector<int>{1}, emit_it, bulkhead::sum);
  return static_cast<int>(sums.stats().keys);
}
