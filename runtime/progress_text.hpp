// SPDX-License-Identifier: MIT
//
// What a progress bar says, and when. Plain arithmetic; time is given.
#pragma once

#include <bulkhead/options.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>

namespace bulkhead::detail {

/// Tasks a second, of late.
class Rate {
 public:
  using Seconds = std::chrono::duration<double>;

  /// `done` so long after the beginning.
  void note(Seconds time, std::uint64_t done);
  /// Nothing: it is not known yet.
  [[nodiscard]] std::optional<double> per_second() const;

 private:
  struct Point {
    Seconds time;
    std::uint64_t done;
  };
  std::deque<Point> points_{{Seconds{0}, 0}};
};

/// The line, without an end. No wider than `width` columns, of which a bar takes what is left;
/// without a width there is none.
[[nodiscard]] std::string progress_text(const std::string& label, const Progress& progress,
                                        const Rate& rate, std::optional<std::size_t> width);
/// The same at the end of a call that took `time`.
[[nodiscard]] std::string final_text(const std::string& label, const Progress& progress,
                                     Rate::Seconds time);

}  // namespace bulkhead::detail
