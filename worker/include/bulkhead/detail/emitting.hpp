// SPDX-License-Identifier: MIT
//
// Emitting: what all that mappers emit by have in common: counters, and that nothing is taken from
// an element of which something was lost.
#pragma once

#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/error.hpp>

#include <cstdint>
#include <string>

namespace bulkhead::detail {

class Emitting {
 public:
  explicit Emitting(Counters& counters) : counters_(counters) {}
  Emitting(const Emitting&) = delete;
  Emitting& operator=(const Emitting&) = delete;

  /// Adds to one of the job's own counters: see KeyedResult::counters().
  void count(const std::string& name, std::uint64_t more = 1) { counters_[name] += more; }
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
