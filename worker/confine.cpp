// SPDX-License-Identifier: MIT
#include "worker/confine.hpp"

#include "worker/host.hpp"

#include <algorithm>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace bulkhead::detail {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

/// `spare`: so much more is allowed to who takes the first signal for a warning.
bool limit(__rlimit_resource resource, rlim_t most, rlim_t spare = 0) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return false;
  now.rlim_max = std::min(now.rlim_max, most + spare);
  now.rlim_cur = std::min(now.rlim_max, most);
  return ::setrlimit(resource, &now) == 0;
}

}  // namespace

bool confine(const Limits& limits) {
  constexpr rlim_t kToTidyUp = 5;  // s
  bool done = true;
  if (limits.memory && !kSanitized) done &= limit(RLIMIT_DATA, data_bytes() + *limits.memory);
  if (limits.cpu_time) {
    done &= limit(RLIMIT_CPU, static_cast<rlim_t>(limits.cpu_time->count()), kToTidyUp);
  }
  if (limits.file_size) done &= limit(RLIMIT_FSIZE, *limits.file_size);
  if (limits.open_files) done &= limit(RLIMIT_NOFILE, *limits.open_files);
  if (limits.processes) done &= limit(RLIMIT_NPROC, *limits.processes);
  if (!limits.core_dumps) done &= limit(RLIMIT_CORE, 0);
  if (limits.no_new_privileges) done &= ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  return done;
}

}  // namespace bulkhead::detail
