// SPDX-License-Identifier: MIT
//
// What each sort of request is answered, one by one.
#pragma once

#include <string>
#include <vector>

namespace load {

/// Starts services of its own. What is not as it should be, in sentences.
std::vector<std::string> check_contract(const std::string& program);

}  // namespace load
