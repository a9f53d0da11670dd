// SPDX-License-Identifier: MIT
// Must say: include <bulkhead/cereal.hpp>
#include <bulkhead/pool.hpp>

#include <memory>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  const std::vector<std::shared_ptr<int>> numbers{std::make_shared<int>(1)};
  return pool.map([](const std::shared_ptr<int>& number) { return *number; }, numbers).front();
}
