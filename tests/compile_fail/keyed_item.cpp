// SPDX-License-Identifier: MIT
// Must say: the mapper does not take (item, auto& emit)
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <string>

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, 1); };
  auto counts = pool.map_reduce_by_key<int, int>(bulkhead::text("x"), emit_it, bulkhead::sum);
  return static_cast<int>(counts.stats().keys);
}
