// SPDX-License-Identifier: MIT
// Must say: use std::set or std::map
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

using Key = std::pair<int, std::vector<std::unordered_set<int>>>;

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(Key{x, {}}); };
  auto sums =
      pool.map_reduce_by_key<Key, std::uint64_t>(std::vector<int>{1}, emit_it, bulkhead::sum);
  return static_cast<int>(sums.stats().keys);
}
