// SPDX-License-Identifier: MIT
#include "runtime/progress_text.hpp"
#include "worker/output.hpp"
#include "worker/terminal.hpp"
#include <bulkhead/progress_bar.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace bulkhead {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStandardError = 2;
constexpr std::chrono::seconds kBetweenLines{10};
/// Back to the beginning of the line, and what is there away.
constexpr std::string_view kAgain = "\r\x1b[K";

void write(std::string_view text) {
  static_cast<void>(detail::print(kStandardError, text));
}

}  // namespace

/// The bar of a call is over when a call begins, or there will be none.
class ProgressBar::Line {
 public:
  explicit Line(std::string label) : label_(std::move(label)) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    try {
      end(Clock::now());
    } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; a line is missing
    }
  }

  void show(const Progress& progress) {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (shown_ && (progress.done < shown_->done || progress.failed < shown_->failed)) end(now);
    if (!shown_) begin(now, progress);
    shown_ = progress;
    rate_.note(progress.elapsed, progress.done);
    if (progress.total == progress.done && progress.reduced == progress.partitions) {
      end(now);
    } else if (terminal_) {
      write(std::string(kAgain) +
            detail::progress_text(label_, progress, rate_, detail::columns(kStandardError) - 1));
    } else if (now - last_line_ >= kBetweenLines) {
      write(detail::progress_text(label_, progress, rate_, std::nullopt) + '\n');
      last_line_ = now;
    }
  }

 private:
  void begin(Clock::time_point now, const Progress& first) {
    begin_ = now - first.elapsed;
    last_line_ = now;
    rate_ = {};
    terminal_ = detail::is_terminal(kStandardError);
  }
  void end(Clock::time_point now) {
    if (!shown_) return;
    const std::string text = detail::final_text(label_, *shown_, now - begin_) + '\n';
    write(terminal_ ? std::string(kAgain) + text : text);
    shown_.reset();
  }

  const std::string label_;
  std::mutex mutex_;
  bool terminal_ = false;
  std::optional<Progress> shown_;  ///< of a call that has not ended; nothing: there is none
  Clock::time_point begin_;
  Clock::time_point last_line_;
  detail::Rate rate_;
};

ProgressBar::ProgressBar(std::string label) : line_(std::make_shared<Line>(std::move(label))) {}

void ProgressBar::operator()(const Progress& progress) const {
  line_->show(progress);
}

}  // namespace bulkhead
