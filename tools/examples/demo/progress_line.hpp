// SPDX-License-Identifier: MIT
//
// Shows on stderr how far a job is. At a terminal one line is rewritten in place; in a log a plain
// line appears for every fifth of the job.

#pragma once

#include "stopwatch.hpp"
#include <bulkhead/pool.hpp>

#include <cstddef>

namespace demo {

/// Give it to one job: `.progress = [&](const bulkhead::Progress& p) { line.show(p); }`.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();

  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const bulkhead::Progress& progress);

 private:
  void print(const bulkhead::Progress& progress, const char* before, const char* after);

  const bool terminal_;
  bool line_open_ = false;        // the cursor stands behind a line of ours
  std::size_t fifths_shown_ = 0;  // lines printed so far, without a terminal
  Stopwatch time_;
};

}  // namespace demo
