// SPDX-License-Identifier: MIT
//
// Emitting: what all that mappers emit by have in common: counters, and that nothing is taken from
// an element of which something was lost.
#pragma once

#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {

template <class V, class Any>
void refuse_value() {
  static_assert(std::is_constructible_v<V, const Any&>,
                "bulkhead: emit(key, value): the value is no V of the keyed job, and makes none");
}

class Emitting {
 public:
  explicit Emitting(Counters& counters) : counters_(counters) {}
  Emitting(const Emitting&) = delete;
  Emitting& operator=(const Emitting&) = delete;

  /// Adds to one of the job's own counters: see KeyedResult::counters().
  void count(std::string_view name, std::uint64_t more = 1) {
    counters_[std::string(name)] += more;
  }
  /// Pairs.
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }
  /// Throws if emit has thrown: pairs may be lost, whoever has caught that.
  void require_whole() const {
    if (broken_) [[unlikely]]
      throw Error("bulkhead: emit has thrown before, so what this element gives is not whole");
  }

 protected:
  ~Emitting() = default;

  /// Something is done that may throw. Throws as require_whole().
  void begin() {
    require_whole();
    broken_ = true;
  }
  /// It is done: so many pairs more.
  void end(std::uint64_t pairs) {
    emitted_ += pairs;
    broken_ = false;
  }

 private:
  Counters& counters_;
  std::uint64_t emitted_ = 0;
  bool broken_ = false;  ///< something was thrown, or is being done
};

}  // namespace bulkhead::detail
