// SPDX-License-Identifier: MIT
//
// The main function of the tests with real processes.
#include "tests/support/start.hpp"
#include <bulkhead/error.hpp>
#include <bulkhead/pool.hpp>

#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

namespace {

/// For tests of programs that are not as init() wants them.
void misbehave_if_asked() {
  const char* const variable = std::getenv("BULKHEAD_TEST_MAIN");
  const std::string_view how = variable != nullptr ? variable : "";
  if (how == "leaves before init") std::exit(EXIT_SUCCESS);
  if (how == "makes a pool before init") {
    try {
      bulkhead::Pool pool(1);
    } catch (const bulkhead::Error&) {
      std::exit(EXIT_SUCCESS);
    }
  }
  if (how == "starts a thread before init") {
    std::thread([] {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point::max());
    }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  misbehave_if_asked();
  bulkhead::test::prepare_start();
  if (std::getenv("BULKHEAD_SPAWNED") != nullptr) return EXIT_FAILURE;  // whoever waits is told
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
