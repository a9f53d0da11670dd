// SPDX-License-Identifier: MIT
#include "worker/host.hpp"

#include "worker/sanitizers.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

constexpr int kRuntimeThreads = kThreadSanitizer ? 1 : 0;

/// CPUs' worth of time that the cgroup at `path` grants; 0 if it sets no limit (cgroup v2,
/// cpu.max).
double quota_of(const std::filesystem::path& path) {
  std::ifstream file(path / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::strtod(quota.c_str(), nullptr) / period;
}

/// Calls `visit` with the folder of each cgroup that this process is in (version 2), its own first.
template <class Visit>
void for_each_cgroup(Visit visit) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, 3, "0::") != 0) continue;
    const std::filesystem::path root = "/sys/fs/cgroup";
    std::filesystem::path path = root / std::filesystem::path(line.substr(3)).relative_path();
    for (;;) {
      visit(path);
      if (path == root || !path.has_relative_path()) break;
      path = path.parent_path();
    }
  }
}

/// The smallest quota that applies; 0 if there is none.
double cgroup_quota() {
  double smallest = 0;
  for_each_cgroup([&](const std::filesystem::path& path) {
    const double quota = quota_of(path);
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  });
  return smallest;
}

/// The number that follows `name` in a file of names and numbers; 0 if there is none.
std::uint64_t number_after(const std::filesystem::path& path, std::string_view name) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t number = 0;
  while (file >> word) {
    if (word == name) return file >> number ? number : 0;
  }
  return 0;
}

/// Bytes that the cgroup at `path` has left, the cache that it can do without included.
std::uint64_t memory_left(const std::filesystem::path& path) {
  std::uint64_t limit = 0;
  std::uint64_t used = 0;
  if (!(std::ifstream(path / "memory.max") >> limit)) return ~std::uint64_t{0};  // "max", or none
  std::ifstream(path / "memory.current") >> used;
  const std::uint64_t cache = number_after(path / "memory.stat", "inactive_file");
  return limit + cache > used ? limit + cache - used : 0;
}

}  // namespace

void* map_page_wiped_by_fork() {
  constexpr std::size_t kBytes = 4096;
  void* page = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, kBytes, MADV_WIPEONFORK) == 0) return page;
  ::munmap(page, kBytes);
  return nullptr;
}

pid_t own_pid() {
  static void* const page = map_page_wiped_by_fork();
  if (page == nullptr) return ::getpid();
  static auto* const word = new (page) std::atomic<pid_t>;
  pid_t pid = word->load(std::memory_order_relaxed);
  if (pid == 0) word->store(pid = ::getpid(), std::memory_order_relaxed);
  return pid;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

int usable_cpus() {
  const int cpus = std::max(1, static_cast<int>(allowed_cpus().size()));
  const double quota = cgroup_quota();
  if (quota <= 0) return cpus;
  return std::clamp(static_cast<int>(std::ceil(quota)), 1, cpus);
}

std::uint64_t data_bytes() {
  return number_after("/proc/self/status", "VmData:") * 1024;
}

std::uint64_t resident_bytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t memory_left() {
  std::uint64_t left = number_after("/proc/meminfo", "MemAvailable:") * 1024;
  for_each_cgroup([&](const auto& path) { left = std::min(left, memory_left(path)); });
  return left;
}

std::uint64_t data_left() {
  const auto left = [](__rlimit_resource resource, std::string_view used) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
      return ~std::uint64_t{0};
    const std::uint64_t bytes = number_after("/proc/self/status", used) * 1024;
    return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, bytes);
  };
  return std::min(left(RLIMIT_DATA, "VmData:"), left(RLIMIT_AS, "VmSize:"));
}

bool has_memory_to_spare(pid_t pid) {
  constexpr std::uint64_t kKib = 1024;
  constexpr std::uint64_t kOfItsOwn = 1024 * kKib;
  constexpr std::uint64_t kNextToNothing = 100;  // one part of so many
  const auto status = std::filesystem::path("/proc") / std::to_string(pid) / "status";
  const std::uint64_t needed = number_after(status, "VmPTE:") * kKib + kOfItsOwn;
  return memory_left() / kNextToNothing > needed;
}

int thread_count() {
  const auto threads = static_cast<int>(number_after("/proc/self/status", "Threads:"));
  return std::max(threads, 1) - kRuntimeThreads;
}

std::string thread_names() {
  std::string names;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm"), name);
    if (name.empty()) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace bulkhead::detail
