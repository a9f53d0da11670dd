// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace bulkhead::detail {

/// Pairs, key by key, and those of a key in the order of the input.
template <class V>
class PairRow {
 public:
  PairRow() = default;
  PairRow(const PairRow&) = delete;
  PairRow& operator=(const PairRow&) = delete;
  virtual ~PairRow() = default;

  /// False: that was the last pair.
  [[nodiscard]] virtual bool has_more() const = 0;
  /// Of the next pair.
  [[nodiscard]] virtual std::string_view key() const = 0;
  /// The next pair's value; steps over it. `more`: there is another of its key behind it.
  virtual V take(bool& more) = 0;
};

/// Keys of the same hash: short ones come first, then by their bytes.
inline bool is_before(bool a_is_long, std::string_view a, bool b_is_long, std::string_view b) {
  return a_is_long != b_is_long ? b_is_long : a < b;
}

}  // namespace bulkhead::detail
