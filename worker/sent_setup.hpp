// SPDX-License-Identifier: MIT
//
// What workers are told, on its way to a process that does not have it in its memory: all of a
// WorkerSetup but the modules, which are its own, and forward_logs.
#pragma once

#include "worker/descriptor.hpp"
#include "worker/serve.hpp"

namespace bulkhead::detail {

/// A memory that holds it. Throws SystemError, Error, and what a hook's codec throws.
[[nodiscard]] Descriptor put_down(const WorkerSetup& setup);
/// What was put down there. Hooks are rebuilt where they are called: what is wrong with them is the
/// worker's to say. Throws Error.
[[nodiscard]] WorkerSetup take_up(const Descriptor& memory);

}  // namespace bulkhead::detail
