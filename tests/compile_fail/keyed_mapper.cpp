// SPDX-License-Identifier: MIT
// Must say: cannot be sent to workers that already run
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <vector>

int main() {
  bulkhead::Pool pool(1);
  int calls = 0;
  const auto emit_it = [&calls](int x, auto& emit) { emit(x + calls, 1); };
  auto counts = pool.map_reduce_by_key<int, int>(std::vector<int>{1}, emit_it, bulkhead::sum);
  return static_cast<int>(counts.stats().keys);
}
