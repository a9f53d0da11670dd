// SPDX-License-Identifier: MIT
#include "worker/faults.hpp"

#include <bulkhead/this_task.hpp>

#include <csignal>
#include <thread>

namespace bulkhead::detail {
namespace {

using fault::Action;
using fault::Fault;
using fault::Point;

void happen(const Fault& fault) {
  if (fault.action == Action::kill) static_cast<void>(::raise(SIGKILL));
  if (fault.action == Action::stop) static_cast<void>(::raise(SIGSTOP));
  if (fault.action == Action::delay) std::this_thread::sleep_for(fault.delay);
}

bool concerns(const Fault& fault, std::uint64_t task) {
  const bool this_one = fault.task == fault::kAnyTask || fault.task == task;
  return this_one && (fault.attempt == 0 || fault.attempt == this_task::attempt());
}

}  // namespace

void meet_faults(const std::vector<Fault>& faults, Point point, std::uint64_t task) {
  const bool of_a_task = point == Point::task_begins || point == Point::task_ends;
  for (const Fault& fault : faults) {
    if (fault.point == point && (!of_a_task || concerns(fault, task))) happen(fault);
  }
}

}  // namespace bulkhead::detail
