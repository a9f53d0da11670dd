// SPDX-License-Identifier: MIT
#include "worker/host.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <string>

namespace bulkhead::detail {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int kRuntimeThreads = 1;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr int kRuntimeThreads = 1;
#else
constexpr int kRuntimeThreads = 0;
#endif
#else
constexpr int kRuntimeThreads = 0;
#endif

int affinity_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// CPUs' worth of time that the cgroup at `path` grants; 0 if it sets no limit (cgroup v2,
/// cpu.max).
double quota_of(const std::filesystem::path& path) {
  std::ifstream file(path / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::strtod(quota.c_str(), nullptr) / period;
}

/// The smallest quota on the way from this process's cgroup to the root; 0 if there is none.
double cgroup_quota() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  double smallest = 0;
  while (std::getline(file, line)) {
    if (line.compare(0, 3, "0::") != 0) continue;
    const std::filesystem::path root = "/sys/fs/cgroup";
    std::filesystem::path path = root / std::filesystem::path(line.substr(3)).relative_path();
    for (;;) {
      const double quota = quota_of(path);
      if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
      if (path == root || !path.has_relative_path()) break;
      path = path.parent_path();
    }
  }
  return smallest;
}

}  // namespace

int usable_cpus() {
  const int cpus = std::max(1, affinity_cpus());
  const double quota = cgroup_quota();
  if (quota <= 0) return cpus;
  return std::clamp(static_cast<int>(std::ceil(quota)), 1, cpus);
}

int thread_count() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "Threads:") continue;
    int count = 1;
    status >> count;
    return count - kRuntimeThreads;
  }
  return 1;
}

}  // namespace bulkhead::detail
