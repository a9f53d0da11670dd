// SPDX-License-Identifier: MIT
// Must say: this type has no codec
// Must say: serialize
#include <bulkhead/pool.hpp>

#include <string>
#include <vector>

struct Report {
  std::string text;
};

int main() {
  bulkhead::Pool pool(1);
  return static_cast<int>(pool.map([](int) { return Report{}; }, std::vector<int>{1}).size());
}
