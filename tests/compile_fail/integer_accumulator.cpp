// SPDX-License-Identifier: MIT
//
// Must say: write 0.0 instead of 0
#include <bulkhead/pool.hpp>

#include <functional>
#include <vector>

double sum(bulkhead::Pool& pool, const std::vector<double>& xs) {
  return pool.reduce(xs, std::plus<>{}, 0);
}
