// SPDX-License-Identifier: MIT
#include "worker/confine.hpp"

#include "worker/descriptor.hpp"
#include "worker/host.hpp"
#include "worker/sanitizers.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

template <class Value>
[[noreturn]] void refuse(const char* name, Value value) {
  const int error = errno;
  throw SystemError(
      "bulkhead: a worker cannot set Limits::" + std::string(name) + " to " + std::to_string(value),
      error);
}

rlim_t saturating_sum(rlim_t a, rlim_t b) {
  return a > RLIM_INFINITY - b ? RLIM_INFINITY : a + b;
}

/// `spare`: so much more is allowed to who takes the first signal for a warning.
void limit(const char* name, __rlimit_resource resource, rlim_t most, rlim_t spare = 0) {
  rlimit now{};
  bool done = ::getrlimit(resource, &now) == 0;
  now.rlim_max = std::min(now.rlim_max, saturating_sum(most, spare));
  now.rlim_cur = std::min(now.rlim_max, most);
  done = done && ::setrlimit(resource, &now) == 0;
  if (!done) refuse(name, most);
}

}  // namespace

void confine(const Limits& limits) {
  constexpr rlim_t kToTidyUp = 5;  // s
  if (limits.memory && limits.cgroup.empty() && !kAddressSanitizer && !kThreadSanitizer)
    limit("memory", RLIMIT_DATA, saturating_sum(data_bytes(), *limits.memory));
  if (limits.cpu_time) {
    const auto seconds = static_cast<rlim_t>(limits.cpu_time->count());
    limit("cpu_time", RLIMIT_CPU, seconds, kToTidyUp);
  }
  if (limits.file_size) limit("file_size", RLIMIT_FSIZE, *limits.file_size);
  if (limits.open_files) limit("open_files", RLIMIT_NOFILE, *limits.open_files);
  if (limits.processes) limit("processes", RLIMIT_NPROC, *limits.processes);
  if (!limits.core_dumps) limit("core_dumps", RLIMIT_CORE, 0);
  if (limits.oom_score_adj && !set_oom_score(*limits.oom_score_adj)) {
    refuse("oom_score_adj", *limits.oom_score_adj);
  }
  if (limits.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    refuse("no_new_privileges", true);
  }
}

bool set_oom_score(int score) {
  const std::string text = std::to_string(score);
  const Descriptor file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) > 0;
}

void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return;
  throw SystemError("bulkhead: a worker cannot be pinned to CPU " + std::to_string(cpu), errno);
}

}  // namespace bulkhead::detail
