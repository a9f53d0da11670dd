// SPDX-License-Identifier: MIT
//
// The equation of Pool::map_reduce(), computed as it is written there: level by level.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead::test {

/// node(L, 0) of leaves, of which there is at least one.
template <class T, class Op>
T root_of(std::vector<T> nodes, Op op) {
  while (nodes.size() > 1) {
    std::vector<T> above;
    for (std::size_t i = 0; i < nodes.size(); i += 2) {
      if (i + 1 < nodes.size()) {
        above.push_back(op(nodes[i], nodes[i + 1]));
      } else {
        above.push_back(nodes[i]);
      }
    }
    nodes = std::move(above);
  }
  return nodes[0];
}

template <class T, class Op>
T tree_of(const std::vector<T>& leaves, Op op, T init) {
  return leaves.empty() ? init : op(init, root_of(leaves, op));
}

/// Not associative: the result tells what was combined with what.
inline std::string bracketed(const std::string& left, const std::string& right) {
  return "(" + left + " " + right + ")";
}

}  // namespace bulkhead::test
