// SPDX-License-Identifier: MIT
#include "tests/support/footprint.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <unistd.h>

namespace bulkhead::test {
namespace {

namespace fs = std::filesystem;

std::set<int> children_of_all_threads() {
  std::set<int> children;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    int pid = 0;
    while (file >> pid) children.insert(pid);
  }
  return children;
}

std::set<std::string> open_descriptors() {
  std::set<std::string> descriptors;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const fs::path target = fs::read_symlink(entry.path(), error);
    // The iterator's own descriptor is gone by the time it is looked at, or is the directory
    // itself.
    if (error || target.string().find("/fd") != std::string::npos) continue;
    descriptors.insert(entry.path().filename().string() + " -> " + target.string());
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

Footprint Footprint::now() {
  return {children_of_all_threads(), open_descriptors(), names_in_shm(), memfd_mappings(),
          count_threads()};
}

void ProcessTest::TearDown() {
  const Footprint after = Footprint::now();
  EXPECT_EQ(after.children, before_.children) << "processes were left behind";
  EXPECT_EQ(after.descriptors, before_.descriptors) << "descriptors were left behind";
  EXPECT_EQ(after.shared_names, before_.shared_names) << "names in /dev/shm were left behind";
  EXPECT_EQ(after.shared_mappings, before_.shared_mappings) << "mappings were left behind";
  EXPECT_EQ(after.threads, before_.threads) << "threads were left behind";
}

}  // namespace bulkhead::test
