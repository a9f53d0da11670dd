// SPDX-License-Identifier: MIT
//
// The progress line; see progress_line.hpp.

#include "progress_line.hpp"

#include <cstdio>
#include <unistd.h>

namespace demo {

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (line_open_) std::fputc('\n', stderr);
}

void ProgressLine::show(const bulkhead::Progress& progress) {
  if (terminal_) {
    print(progress, "\r", "  ");
    line_open_ = true;
    return;
  }
  const auto total = static_cast<std::size_t>(progress.total.value_or(0));
  const std::size_t fifths = total == 0 ? 0 : 5 * static_cast<std::size_t>(progress.done) / total;
  if (fifths > fifths_shown_) {
    fifths_shown_ = fifths;
    print(progress, "", "\n");
  }
}

void ProgressLine::print(const bulkhead::Progress& progress, const char* before,
                         const char* after) {
  const auto done = static_cast<std::size_t>(progress.done);
  const double seconds = time_.seconds();
  std::fprintf(stderr, "%s   %3zu of %zu done, %zu failed, %.1f s, %.1f per second%s", before, done,
               static_cast<std::size_t>(progress.total.value_or(0)),
               static_cast<std::size_t>(progress.failed), seconds,
               seconds > 0.0 ? static_cast<double>(done) / seconds : 0.0, after);
}

}  // namespace demo
