// SPDX-License-Identifier: MIT
#include "worker/local_task.hpp"

#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/detail/key_mark.hpp>
#include <bulkhead/error.hpp>

#include <utility>

namespace bulkhead::detail {
namespace {

thread_local LocalTask* present_task = nullptr;
thread_local int scopes = 0;

}  // namespace

void LocalTask::restart_time() {
  const Time now = std::chrono::steady_clock::now();
  if (limit) deadline = *limit > Time::max() - now ? Time::max() : now + *limit;
}

bool LocalTask::ask() {
  if (told != Told::nothing) return true;
  if (stop.stop_requested() || pool_end.stop_requested()) {
    told = Told::cancelled;
  } else if (deadline && std::chrono::steady_clock::now() >= *deadline) {
    told = Told::late;
  }
  told_at = index;
  return told != Told::nothing;
}

LocalTask* present_local_task() {
  return present_task;
}

LocalScope::LocalScope(LocalTask* task)
    : before_(std::exchange(present_task, task)),
      key_before_(std::exchange(KeyMark::own(), KeyMark())) {
  ++scopes;
}
LocalScope::~LocalScope() {
  --scopes;
  present_task = before_;
  KeyMark::own() = key_before_;
}
int LocalScope::depth() {
  return scopes;
}

void LocalCallable::rebuild_from(const ModuleMap& modules) {
  if (rebuilt_.callable != nullptr) return;
  SpanReader definition(definition_);
  rebuild(modules, definition, rebuilt_);
}

void LocalCallable::require_rebuilt(const ModuleMap& modules) {
  if (error_.empty()) {
    try {
      rebuild_from(modules);
    } catch (...) {
      error_ = why_not_rebuilt();
    }
  }
  if (!error_.empty()) throw Error(error_);
}

LocalCallable::Result LocalCallable::call(std::uint64_t number, std::span<const std::byte> argument,
                                          TaskPhase& phase) {
  present_task->index = rebuilt_.terms.numbered ? number : 0;
  present_task->seed = rebuilt_.terms.seed;
  phase = TaskPhase::decoding;
  SpanReader bytes(argument);
  SpillWriter result({});
  TaskCall task{number, bytes, result, phase};
  rebuilt_.callable->call(rebuilt_.object, task);
  return result.take();
}

LocalCallable::Result LocalCallable::run(const ModuleMap& modules, std::uint64_t number,
                                         std::span<const std::byte> argument, LocalTask& task) {
  const LocalScope scope(&task);
  TaskPhase phase = TaskPhase::running;
  rebuild_from(modules);
  return call(number, argument, phase);
}

std::variant<LocalCallable::Result, FailureDetails> LocalCallable::try_run(
    const ModuleMap& modules, std::uint64_t number, std::span<const std::byte> argument,
    LocalTask& task) {
  const LocalScope scope(&task);
  TaskPhase phase = TaskPhase::running;
  try {
    require_rebuilt(modules);
    return call(number, argument, phase);
  } catch (...) {
    FailureDetails details = describe_current_exception();
    details.message.insert(0, to_string(phase));
    details.message += KeyMark::own().take();
    return details;
  }
}

}  // namespace bulkhead::detail
