// SPDX-License-Identifier: MIT
//
// The start method of the pools that are tested. The same tests run under each: the variable
// BULKHEAD_TEST_START of the environment says under which (fork, if it is not set).
#pragma once

#include <bulkhead/options.hpp>

#include <gtest/gtest.h>

namespace bulkhead::test {

/// Throws std::invalid_argument if the variable names none.
[[nodiscard]] StartMethod tested_start();

/// Calls bulkhead::init() as that method wants it: first thing in main, and in forks of the test
/// program that are hosts of pools themselves.
void prepare_start();

}  // namespace bulkhead::test

/// For a test of what only workers have that are forked from the process as it is.
#define BULKHEAD_FORK_ONLY(why) \
  if (bulkhead::test::tested_start() != bulkhead::StartMethod::fork) GTEST_SKIP() << (why)
