// SPDX-License-Identifier: MIT
// Must say: no K can be made of the key that emit() was given
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <string_view>

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](std::string_view lines, auto& emit) { emit(lines, 1); };
  auto sums = pool.map_reduce_by_key<int, int>(bulkhead::text("x"), emit_it, bulkhead::sum);
  return static_cast<int>(sums.stats().keys);
}
