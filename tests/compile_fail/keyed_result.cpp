// SPDX-License-Identifier: MIT
// Must say: points into memory of this process
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <string_view>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, x); };
  const auto name = [](int, bulkhead::Values<int>&) { return std::string_view("name"); };
  auto names =
      pool.map_reduce_by_key<int, int>(std::vector<int>{1}, emit_it, bulkhead::group(name));
  return static_cast<int>(names.stats().keys);
}
