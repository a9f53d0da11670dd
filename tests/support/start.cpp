// SPDX-License-Identifier: MIT
#include "tests/support/start.hpp"

#include <bulkhead/init.hpp>

#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace bulkhead::test {

StartMethod tested_start() {
  const char* const variable = std::getenv("BULKHEAD_TEST_START");
  const std::string_view name = variable != nullptr ? variable : "fork";
  if (name == "fork") return StartMethod::fork;
  if (name == "forkserver") return StartMethod::forkserver;
  if (name == "spawn") return StartMethod::spawn;
  throw std::invalid_argument("BULKHEAD_TEST_START must be fork, forkserver or spawn");
}

void prepare_start() {
  const StartMethod method = tested_start();
  if (method != StartMethod::fork) init(method);
}

}  // namespace bulkhead::test
