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

/// The process tests: each leaves the process as it found it.
class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = Footprint::now(); }
  void TearDown() override;

 private:
  Footprint before_;
};

}  // namespace bulkhead::test
