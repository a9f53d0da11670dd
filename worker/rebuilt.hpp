// SPDX-License-Identifier: MIT
//
// A callable in the process that calls it, rebuilt from the payload of a `define` frame (see
// serialization/README.md).
#pragma once

#include "worker/module.hpp"
#include "worker/task_terms.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/callable.hpp>

#include <string>

namespace bulkhead::detail {

struct Rebuilt {
  const Callable* callable = nullptr;
  void* object = nullptr;
  TaskTerms terms;  ///< of each of its tasks

  void drop() {
    if (callable != nullptr) callable->drop(object);
    callable = nullptr;
  }
};

/// Rebuilds it in `to`, which is as far as that came if it throws: Error for code that is not in
/// `modules`, and whatever the codec of its state throws.
void rebuild(const ModuleMap& modules, ByteReader& definition, Rebuilt& to);

/// What tasks fail of after that has failed. Inside a catch block.
[[nodiscard]] std::string why_not_rebuilt();

/// What goes before the text of what a task threw then.
[[nodiscard]] const char* to_string(TaskPhase phase);

}  // namespace bulkhead::detail
