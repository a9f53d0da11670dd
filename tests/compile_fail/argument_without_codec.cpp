// SPDX-License-Identifier: MIT
// Must say: this type has no codec
#include <bulkhead/pool.hpp>

#include <string>
#include <vector>

struct Order {
  std::string text;
};

int main() {
  bulkhead::Pool pool(1);
  return pool.map([](const Order& order) { return order.text.size(); }, std::vector<Order>{{"x"}})
      .empty();
}
