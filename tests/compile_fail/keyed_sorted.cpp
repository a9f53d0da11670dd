// SPDX-License-Identifier: MIT
// Must say: sorted() needs a < of keys
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <vector>

struct Key {
  int number = 0;
};

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(Key{x}, 1); };
  auto sums = pool.map_reduce_by_key<Key, int>(std::vector<int>{1}, emit_it, bulkhead::sum);
  for (const auto& [key, value] : sums.sorted()) return value;
  return 0;
}
