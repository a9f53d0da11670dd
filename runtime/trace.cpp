// SPDX-License-Identifier: MIT
#include "runtime/trace.hpp"

#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <utility>

#include <spdlog/fmt/fmt.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kBuffer = std::size_t{64} << 10;
/// What is in the buffer is written after this time, with the next event.
constexpr std::chrono::milliseconds kLongestHeld{500};
/// The row of what is no worker; that of worker n is the n-th after it.
constexpr std::uint32_t kPoolRow = 1;

std::uint32_t row_of(std::uint32_t worker) {
  return kPoolRow + 1 + worker;
}

/// Bytes of the UTF-8 character at the beginning; 0: there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t size = byte(0) < 0x80                      ? 1
                           : byte(0) >= 0xc2 && byte(0) < 0xe0 ? 2
                           : byte(0) >= 0xe0 && byte(0) < 0xf0 ? 3
                           : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4
                                                               : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
  if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) >= 0x90) return 0;
  return size;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t size = utf8_length(text);
    const char first = text.front();
    if (size == 0) {
      out += '?';
    } else if (first == '"' || first == '\\') {
      out += {'\\', first};
    } else if (static_cast<unsigned char>(first) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(first));
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  out += '"';
  return out;
}

std::string to_text(const CallName& call) {
  return call.label ? *call.label : "call " + std::to_string(call.number);
}

Trace::Trace(const std::string& path, Log log) : log_(std::move(log)), pid_(own_pid()) {
  try {
    file_.emplace(path);
  } catch (const SystemError& error) {
    throw SystemError("bulkhead: the file of Options::trace, " + path + ", cannot be written",
                      error.error_number());
  }
  add(fmt::format(
      R"({{"ph":"M","name":"process_name","pid":{},"tid":0,"args":{{"name":"bulkhead"}}}})", pid_));
  name_thread(kPoolRow, "pool");
  file_->append(buffer_);
  buffer_.clear();
}

Trace::~Trace() {
  buffer_ += "\n]\n";
  write();  // if there is still a file
}

void Trace::name_thread(std::uint32_t thread, std::string_view name) {
  add(fmt::format(
      R"({{"ph":"M","name":"thread_name","pid":{0},"tid":{1},"args":{{"name":"{2}"}}}})", pid_,
      thread, name));
  add(fmt::format(
      R"({{"ph":"M","name":"thread_sort_index","pid":{0},"tid":{1},"args":{{"sort_index":{1}}}}})",
      pid_, thread));
}

void Trace::require_row(std::uint32_t worker) {
  while (rows_.size() <= worker) {
    name_thread(row_of(static_cast<std::uint32_t>(rows_.size())),
                "worker " + std::to_string(rows_.size()));
    rows_.push_back(begin_);
  }
}

void Trace::call(char phase, const CallName& call) {
  add(fmt::format(
      R"({{"ph":"{}","cat":"call","name":{},"id":{},"pid":{},"tid":{},"ts":{:.3f},"args":{{"call":{}}}}})",
      phase, json_string(to_text(call)), call.number, pid_, kPoolRow,
      microseconds(std::chrono::steady_clock::now()), call.number));
}

void Trace::begin_call(const CallName& name) {
  call('b', name);
}
void Trace::end_call(const CallName& name) {
  call('e', name);
}

void Trace::fork_worker(std::uint32_t worker) {
  require_row(worker);
  add(fmt::format(
      R"({{"ph":"i","s":"t","cat":"worker","name":"fork","pid":{},"tid":{},"ts":{:.3f}}})", pid_,
      row_of(worker), microseconds(std::chrono::steady_clock::now())));
}

void Trace::start_worker(std::uint32_t worker, int pid, Time from, Time to) {
  require_row(worker);
  from = std::max(from, rows_[worker]);
  to = rows_[worker] = std::max(to, from);
  add(fmt::format(
      R"({{"ph":"X","cat":"worker","name":"start","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"pid":{}}}}})",
      pid_, row_of(worker), microseconds(from), microseconds(to) - microseconds(from), pid));
}

void Trace::end_worker(std::uint32_t worker, int pid, std::string_view cause) {
  require_row(worker);
  const auto now = std::chrono::steady_clock::now();
  rows_[worker] = now;
  add(fmt::format(
      R"({{"ph":"i","s":"t","cat":"worker","name":"end","pid":{},"tid":{},"ts":{:.3f},"args":{{"pid":{},"cause":{}}}}})",
      pid_, row_of(worker), microseconds(now), pid, json_string(cause)));
}

void Trace::task(const Attempt& attempt, const std::optional<Link::TaskTimes>& times) {
  require_row(attempt.worker);
  Time& row = rows_[attempt.worker];
  const Time now = std::max(std::chrono::steady_clock::now(), row);
  const Time from = std::clamp(times ? times->began_at : row, row, now);
  const bool ended = times && times->ended_at != Time{};
  const Time to = row = std::clamp(ended ? times->ended_at : now, from, now);
  add(fmt::format(R"({{"ph":"X","cat":"task","name":{},"pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},)"
                  R"("args":{{"call":{},"task":{},"attempt":{},"outcome":"{}"}}}})",
                  json_string(to_text(attempt.call)), pid_, row_of(attempt.worker),
                  microseconds(from), microseconds(to) - microseconds(from), attempt.call.number,
                  attempt.task, attempt.attempt, attempt.outcome));
}

double Trace::microseconds(Time time) const {
  return std::chrono::duration<double, std::micro>(time - begin_).count();
}

void Trace::add(std::string_view event) {
  if (!file_) return;
  buffer_ += std::exchange(any_, true) ? ",\n" : "[\n";
  buffer_ += event;
  if (buffer_.size() >= kBuffer || std::chrono::steady_clock::now() - written_ >= kLongestHeld)
    write();
}

void Trace::write() {
  if (!file_) return;
  try {
    file_->append(buffer_);
    written_ = std::chrono::steady_clock::now();
  } catch (const SystemError& error) {
    log_.error(std::string("the trace ends here: ") + error.what());
    file_.reset();
  }
  buffer_.clear();
}

}  // namespace bulkhead::detail
