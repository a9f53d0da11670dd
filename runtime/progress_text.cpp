// SPDX-License-Identifier: MIT
#include "runtime/progress_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <spdlog/fmt/fmt.h>

namespace bulkhead::detail {
namespace {

/// The rate is that of so many seconds.
constexpr Rate::Seconds kLately{15};
constexpr Rate::Seconds kBetweenPoints{0.25};
constexpr std::size_t kWidestBar = 40;
constexpr std::size_t kNarrowestBar = 8;

std::string clock(Rate::Seconds time) {
  const auto seconds = static_cast<std::uint64_t>(std::ceil(std::max(time.count(), 0.0)));
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string speed(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.1f}M/s", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.0f}k/s", per_second / 1e3);
  return per_second >= 10 ? fmt::format("{:.0f}/s", per_second)
                          : fmt::format("{:.2g}/s", per_second);
}

std::string bar(double share, std::size_t width) {
  const std::size_t inside = width - 2;
  const auto full = static_cast<std::size_t>(share * static_cast<double>(inside));
  const std::string done(full, '=');
  if (full == inside) return fmt::format("[{}] ", done);
  return fmt::format("[{}>{}] ", done, std::string(inside - full - 1, ' '));
}

/// A year is for ever.
constexpr double kForEver = 365.0 * 24 * 3600;

}  // namespace

void Rate::note(Seconds time, std::uint64_t done) {
  if (points_.size() > 1 && time - points_[points_.size() - 2].time < kBetweenPoints)
    points_.pop_back();
  points_.push_back({time, done});
  while (points_.size() > 2 && time - points_[1].time >= kLately) points_.pop_front();
}

std::optional<double> Rate::per_second() const {
  const Seconds time = points_.back().time - points_.front().time;
  const std::uint64_t done = points_.back().done - points_.front().done;
  if (time.count() <= 0 || done == 0) return std::nullopt;
  return static_cast<double>(done) / time.count();
}

std::string progress_text(const std::string& label, const Progress& progress, const Rate& rate,
                          std::optional<std::size_t> width) {
  std::string head = label.empty() ? std::string() : label + ' ';
  std::string tail = fmt::format("{}", progress.done);
  if (progress.total) tail += fmt::format("/{}", *progress.total);
  if (const auto per_second = rate.per_second(); per_second && progress.reducing.count() == 0) {
    tail += ", " + speed(*per_second);
    const double left =
        progress.total
            ? static_cast<double>(*progress.total - std::min(progress.done, *progress.total)) /
                  *per_second
            : kForEver;
    if (left < kForEver) tail += ", " + clock(Rate::Seconds(left)) + " left";
  }
  if (progress.reducing.count() != 0) {
    tail += fmt::format(", {}/{} reduced", progress.reduced, progress.partitions);
    if (const auto left = progress.remaining()) tail += ", " + clock(*left) + " left";
  }
  if (progress.failed != 0) tail += fmt::format(", {} failed", progress.failed);
  if (progress.total && *progress.total != 0) {
    const double share =
        std::min(static_cast<double>(progress.done) / static_cast<double>(*progress.total), 1.0);
    head += fmt::format("{:3}% ", static_cast<int>(share * 100));
    const std::size_t taken = head.size() + tail.size() + 1;
    if (width && *width >= taken + kNarrowestBar)
      head += bar(share, std::min(*width - taken, kWidestBar));
  }
  return (head + tail).substr(0, width.value_or(std::string::npos));
}

std::string final_text(const std::string& label, const Progress& progress, Rate::Seconds time) {
  std::string text = label.empty() ? std::string() : label + ": ";
  text += fmt::format("{}", progress.done);
  if (progress.total && *progress.total != progress.done)
    text += fmt::format(" of {}", *progress.total);
  text +=
      time < Rate::Seconds(10) ? fmt::format(" in {:.2g} s", time.count()) : " in " + clock(time);
  if (time.count() > 0 && progress.done != 0)
    text += ", " + speed(static_cast<double>(progress.done) / time.count());
  if (progress.failed != 0) text += fmt::format(", {} failed", progress.failed);
  return text;
}

}  // namespace bulkhead::detail
