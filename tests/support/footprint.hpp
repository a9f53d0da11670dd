// SPDX-License-Identifier: MIT
//
// Footprint: what this process holds at a moment that a pool must give back: children, descriptors,
// threads, shared mappings, names in /dev/shm.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace bulkhead::test {

struct Footprint {
  std::set<int> children;
  std::set<std::string> descriptors;  ///< "number -> target"
  std::set<std::string> shared_names;
  std::size_t shared_mappings = 0;  ///< of memfds
  int threads = 0;

  [[nodiscard]] static Footprint now();
};

/// Expects that this process holds what it held at `before`, and nothing new.
void expect_unchanged(const Footprint& before);

/// The children of a process, by any of its threads.
[[nodiscard]] std::set<int> children_of(int pid);

/// The process tests: each leaves the process as it found it. Orphans of its children, if there are
/// any, become its own children, so that none can get away: see PR_SET_CHILD_SUBREAPER in prctl(2).
class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override;
  /// What was left behind is ended, so that it does not count against the next test too.
  void TearDown() override;

 private:
  Footprint before_;
};

}  // namespace bulkhead::test
