// SPDX-License-Identifier: MIT
// Must say: points into memory of this process
#include <bulkhead/pool.hpp>

#include <string_view>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  return pool
      .map([](std::string_view text) { return text.size(); }, std::vector<std::string_view>{"x"})
      .empty();
}
