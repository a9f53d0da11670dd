// SPDX-License-Identifier: MIT
// Must say: write combine(f) for a function that makes one of two values
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <functional>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, 1); };
  auto counts = pool.map_reduce_by_key<int, int>(std::vector<int>{1}, emit_it, std::plus<>{});
  return static_cast<int>(counts.stats().keys);
}
