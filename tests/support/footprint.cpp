// SPDX-License-Identifier: MIT
#include "tests/support/footprint.hpp"

#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace bulkhead::test {
namespace {

namespace fs = std::filesystem;

/// A file on disk by its number: files that were inherited may be given another name meanwhile.
std::string what_is_open(const fs::path& descriptor) {
  std::error_code error;
  const fs::path target = fs::read_symlink(descriptor, error);
  struct stat status {};
  if (!target.is_absolute() || ::stat(descriptor.c_str(), &status) != 0) return target;
  return "file " + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

std::set<std::string> open_descriptors() {
  std::set<std::string> descriptors;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const fs::path target = fs::read_symlink(entry.path(), error);
    // The iterator's own descriptor is gone by the time it is looked at, or is the directory
    // itself.
    if (error || target.string().find("/fd") != std::string::npos) continue;
    descriptors.insert(entry.path().filename().string() + " -> " + what_is_open(entry.path()));
  }
  return descriptors;
}

std::set<std::string> names_in_shm() {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev/shm", error)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

std::size_t memfd_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  std::size_t count = 0;
  while (std::getline(maps, line)) {
    if (line.find("/memfd:bulkhead") != std::string::npos) ++count;
  }
  return count;
}

int count_threads() {
  int count = 0;
  for ([[maybe_unused]] const auto& task : fs::directory_iterator("/proc/self/task")) ++count;
  return count;
}

}  // namespace

std::set<int> children_of(int pid) {
  std::set<int> children;
  std::error_code error;
  const fs::path tasks = fs::path("/proc") / std::to_string(pid) / "task";
  for (const auto& task : fs::directory_iterator(tasks, error)) {
    std::ifstream file(task.path() / "children");
    int child = 0;
    while (file >> child) children.insert(child);
  }
  return children;
}

Footprint Footprint::now() {
  return {children_of(::getpid()), open_descriptors(), names_in_shm(), memfd_mappings(),
          count_threads()};
}

void expect_unchanged(const Footprint& before) {
  const Footprint after = Footprint::now();
  EXPECT_EQ(after.children, before.children) << "processes were left behind";
  EXPECT_EQ(after.descriptors, before.descriptors) << "descriptors were left behind";
  EXPECT_EQ(after.shared_mappings, before.shared_mappings) << "mappings were left behind";
  // A thread is counted by the kernel for a moment longer than pthread_join(3) waits for it.
  EXPECT_TRUE(eventually([&] { return count_threads() == before.threads; }))
      << "threads were left behind: " << count_threads() << ", formerly " << before.threads;
  // Others may use /dev/shm as well, for a while.
  EXPECT_TRUE(eventually([&] {
    const std::set<std::string> names = names_in_shm();
    return std::includes(before.shared_names.begin(), before.shared_names.end(), names.begin(),
                         names.end());
  })) << "names in /dev/shm were left behind";
}

void ProcessTest::SetUp() {
  // ThreadSanitizer starts a thread of its own beside the first one of the program.
  if (kThreadSanitizer) std::thread([] {}).join();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  before_ = Footprint::now();
}

void ProcessTest::TearDown() {
  expect_unchanged(before_);
  for (const int pid : children_of(::getpid())) {
    if (before_.children.contains(pid)) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

}  // namespace bulkhead::test
