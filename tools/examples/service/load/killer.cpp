// SPDX-License-Identifier: MIT
#include "killer.hpp"

#include "process.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace load {
namespace {

bool is_worker(pid_t pid) {
  constexpr std::string_view kPrefix = "bulkhead-";
  const std::string name = name_of(pid);
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos;
}

/// Nobody else, though it may have ended meanwhile and its pid be another's.
bool kill_worker(pid_t pid, pid_t service) {
  const int handle = open_pidfd(pid);
  if (handle < 0) return false;
  const std::vector<pid_t> family = descendants(service);
  const bool is_one = std::find(family.begin(), family.end(), pid) != family.end();
  const bool done = is_one && ::syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0U) == 0;
  ::close(handle);
  return done;
}

}  // namespace

Killer::Killer(pid_t service, double per_second)
    : thread_([this, service, per_second](const std::stop_token& stop) {
        std::mt19937 random(4711);
        std::exponential_distribution<double> gap(per_second);
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        while (!stopped.wait_for(lock, stop, std::chrono::duration<double>(gap(random)),
                                 [&stop] { return stop.stop_requested(); })) {
          std::vector<pid_t> workers = descendants(service);
          std::erase_if(workers, [](pid_t pid) { return !is_worker(pid); });
          if (workers.empty()) continue;
          if (kill_worker(workers[random() % workers.size()], service)) ++kills_;
        }
      }) {}

}  // namespace load
