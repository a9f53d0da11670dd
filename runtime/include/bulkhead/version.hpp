// SPDX-License-Identifier: MIT
//
// The version, in the one place from which CMake reads it too.
#pragma once

#define BULKHEAD_VERSION_MAJOR 0
#define BULKHEAD_VERSION_MINOR 1
#define BULKHEAD_VERSION_PATCH 0
