// SPDX-License-Identifier: MIT
// Must say: cannot be called with an element of the range
#include <bulkhead/pool.hpp>

#include <string>
#include <vector>

int main() {
  bulkhead::Pool pool(1);
  return pool.map([](const std::string& text) { return text.size(); }, std::vector<int>{1}).empty();
}
