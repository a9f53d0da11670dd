// SPDX-License-Identifier: MIT
//
// A progress line for CallOptions::progress:
//
//   pool.map(parse, files, {.progress = bulkhead::ProgressBar("parsing")});
//
//   parsing  38% [=========>              ] 3812/10000, 812/s, 7 s left, 3 failed
#pragma once

#include <bulkhead/options.hpp>

#include <memory>
#include <string>

namespace bulkhead {

/// Writes to standard error. On a terminal one line is drawn again and again; elsewhere plain lines
/// come, every 10 s and at the end. Copies are one and the same bar, whose line ends with the last
/// of them, or where the next call begins. Several calls may have it one after the other, and not
/// at a time; it may be called in any thread, by one at a time, as the pool does. Output that cannot
/// be written is dropped; nothing is thrown.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label = {});

  void operator()(const Progress& progress) const;

 private:
  class Line;
  std::shared_ptr<Line> line_;
};

}  // namespace bulkhead
