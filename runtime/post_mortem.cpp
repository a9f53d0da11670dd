// SPDX-License-Identifier: MIT
#include "runtime/post_mortem.hpp"

#include "worker/serve.hpp"
#include "worker/symbolize.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>
#include <sys/wait.h>
#include <vector>

#include <spdlog/fmt/fmt.h>

namespace bulkhead::detail {
namespace {

std::string exit_text(int code) {
  return fmt::format("exited with code {} before it answered", code);
}

/// What the library's own code means by it. Never said of a task: none runs then, and it may have
/// chosen the same number.
std::string farewell_text(int code) {
  switch (code) {
    case kExitNoCgroup:
      return "the worker could not enter its cgroup (Limits::cgroup)";
    case kExitLostDoorbell:
      return "the worker found its descriptors closed, by a task, and left";
    case kExitBadSetup:
      return "the worker could not set itself up (memory or descriptors exhausted?)";
    case kExitBrokenInbox:
      return "the worker found its inbox damaged and left";
    case kExitInitializer:
      return "the initializer threw";
    default:
      return exit_text(code);
  }
}

std::string signal_text(const ControlMessage& death, const std::optional<CrashReport>& report) {
  const std::string name = signal_name(death.value);
  if (report && report->signal == death.value) {
    std::string text = name;
    if (report->has_fault_address) text += fmt::format(" at address {:#x}", report->fault_address);
    if (!report->message.empty()) text += " (" + report->message + ")";
    return text;
  }
  if (death.value != SIGKILL) return "killed by " + name;
  return fmt::format(
      "killed by SIGKILL, by itself or another process or for want of memory; its peak was {} MiB",
      death.max_rss_kib / 1024);
}

bool is_ours(const SymbolizedFrame& frame) {
  return frame.file.find("/bulkhead/detail/") != std::string::npos ||
         frame.file.ends_with("/bulkhead/partial.hpp") ||
         without_template_arguments(frame.function).find("bulkhead::detail::") != std::string::npos;
}

/// What the standard library puts between us and the user's function.
bool is_invocation(const SymbolizedFrame& frame) {
  return frame.file.ends_with("/bits/invoke.h") || frame.file.ends_with("/functional") ||
         frame.file.ends_with("/tuple");
}

/// Templates of the user's are given ours, with names that are longer than all else.
void shorten(SymbolizedFrame& frame) {
  if (frame.function.find("bulkhead::detail::") != std::string::npos)
    frame.function = without_template_arguments(frame.function);
}

/// The user's part of a stack: what lies above the library's own frames.
std::vector<SymbolizedFrame> user_frames(const CrashReport& report) {
  std::vector<SymbolizedFrame> frames = symbolize(report.frames);
  auto end = std::find_if(frames.begin(), frames.end(), is_ours);
  while (end != frames.begin() && is_invocation(*std::prev(end))) --end;
  if (end != frames.begin()) frames.erase(end, frames.end());
  std::ranges::for_each(frames, shorten);
  return frames;
}

bool is_of_a_library(const SymbolizedFrame& frame) {
  return frame.module.find("/libc.so") != std::string::npos ||
         frame.module.find("/libstdc++.so") != std::string::npos ||
         frame.file.find("/include/c++/") != std::string::npos ||
         frame.function.starts_with("__interceptor_");
}

/// The frame to name in one line: the innermost one that is not the C or C++ library's, nor what a
/// sanitizer has put before it.
const SymbolizedFrame* telling_frame(const std::vector<SymbolizedFrame>& frames) {
  const auto found = std::find_if(frames.begin(), frames.end(), [](const SymbolizedFrame& frame) {
    return !is_of_a_library(frame) && !frame.function.empty();
  });
  return found == frames.end() ? nullptr : &*found;
}

}  // namespace

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : fmt::format("signal {}", signal);
}

std::string out_of_memory_text(const Limits& limits) {
  const std::string text = "killed by the kernel, as its cgroup had no memory left";
  if (!limits.memory) return text;
  return text + fmt::format(": the limit is {} MiB", *limits.memory >> 20);
}

std::string cause_of_death(const ControlMessage& death, const std::optional<CrashReport>& report) {
  return death.code == CLD_EXITED ? farewell_text(death.value) : signal_text(death, report);
}

FailureDetails crash_details(const ControlMessage& death,
                             const std::optional<CrashReport>& report) {
  FailureDetails details;
  details.kind = FailureKind::crashed;
  details.worker_pid = death.pid;
  if (death.code == CLD_EXITED) {
    details.message = exit_text(death.value);
    if (report && report->signal == 0) details.message += " (" + report->message + ")";
    details.exit_code = death.value;
    return details;
  }
  details.message = signal_text(death, report);
  details.signal = death.value;
  if (!report || report->signal != death.value) return details;
  const std::vector<SymbolizedFrame> frames = user_frames(*report);
  if (const SymbolizedFrame* frame = telling_frame(frames))
    details.message += " in " + to_string(*frame);
  for (const SymbolizedFrame& frame : frames) details.backtrace.push_back(to_string(frame));
  return details;
}

}  // namespace bulkhead::detail
