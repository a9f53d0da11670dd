// SPDX-License-Identifier: MIT
// Must say: the value is no V of the keyed job
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <string>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, std::string("one")); };
  auto sums = pool.map_reduce_by_key<int, int>(std::vector<int>{1}, emit_it, bulkhead::sum);
  return static_cast<int>(sums.stats().keys);
}
