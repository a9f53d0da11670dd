// SPDX-License-Identifier: MIT
#include "processes.hpp"

#include "bench.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bench {
namespace {

namespace fs = std::filesystem;

/// The whole of a file in /proc; nothing if its process has ended.
std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The entries of a directory in /proc that are numbers: processes, or threads of one.
std::vector<pid_t> numbers_in(const fs::path& directory) {
  std::vector<pid_t> numbers;
  std::error_code gone;
  for (fs::directory_iterator entry(directory, gone), end; !gone && entry != end;
       entry.increment(gone)) {
    const std::string name = entry->path().filename();
    const auto digit = [](unsigned char c) { return std::isdigit(c) != 0; };
    if (std::all_of(name.begin(), name.end(), digit)) numbers.push_back(std::stoi(name));
  }
  return numbers;
}

fs::path directory_of(pid_t process) {
  return fs::path("/proc") / std::to_string(process);
}

/// The parent of a process, or -1 if it has ended.
pid_t parent_of(pid_t process) {
  const std::string stat = contents(directory_of(process) / "stat");
  const auto name_end = stat.rfind(')');  // then come " STATE PARENT"
  return name_end == std::string::npos ? -1 : std::stoi(stat.substr(name_end + 3));
}

}  // namespace

std::vector<pid_t> process_tree() {
  std::vector<std::pair<pid_t, pid_t>> parents;
  for (const pid_t process : numbers_in("/proc")) {
    parents.emplace_back(process, parent_of(process));
  }
  std::vector<pid_t> tree{::getpid()};
  for (std::size_t at = 0; at < tree.size(); ++at) {
    for (const auto& [process, parent] : parents) {
      if (parent == tree[at]) tree.push_back(process);
    }
  }
  return tree;
}

std::int64_t cpu_nanoseconds(pid_t process) {
  if (process == ::getpid()) {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
  }
  std::int64_t sum = 0;
  const fs::path tasks = directory_of(process) / "task";
  for (const pid_t thread : numbers_in(tasks)) {
    const std::string schedstat = contents(tasks / std::to_string(thread) / "schedstat");
    require(!schedstat.empty(), "no schedstat of a thread");
    sum += std::stoll(schedstat);
  }
  return sum;
}

std::int64_t resident_bytes() {
  const std::string pages = contents(directory_of(::getpid()) / "statm");
  const auto at = pages.find(' ');
  return at == std::string::npos ? 0 : std::stoll(pages.substr(at)) * ::sysconf(_SC_PAGESIZE);
}

std::int64_t tree_memory_bytes() {
  std::int64_t sum = 0;
  for (const pid_t process : process_tree()) {
    const std::string rollup = contents(directory_of(process) / "smaps_rollup");
    const auto at = rollup.find("\nPss:");
    if (at != std::string::npos) sum += std::stoll(rollup.substr(at + 5)) * 1024;
  }
  return sum;
}

}  // namespace bench
