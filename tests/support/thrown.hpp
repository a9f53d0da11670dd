// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <gtest/gtest.h>

namespace bulkhead::test {

/// what() of the E that `call` throws; empty, and a failure of the test, if it throws none.
template <class E, class Call>
std::string text_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace bulkhead::test
