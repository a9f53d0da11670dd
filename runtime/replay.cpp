// SPDX-License-Identifier: MIT
#include "runtime/replay.hpp"

#include "serialization/replay_record.hpp"
#include "worker/broadcast.hpp"
#include "worker/local_task.hpp"
#include "worker/module.hpp"
#include "worker/replay_file.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/replay.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace bulkhead {
namespace detail {
namespace {

constexpr int kExitReturned = 0;
constexpr int kExitThrew = 1;
constexpr int kExitUnusable = 2;

/// A task that is replayed may make pools: they are not to replay it again.
std::atomic<bool> replaying{false};

bool is_known(const ModuleMap& modules, ModuleToken token) {
  return token.build == 0 ||
         std::any_of(modules.modules().begin(), modules.modules().end(),
                     [&](const Module& module) { return module.build == token.build; });
}

void require_same_build(const std::string& path, const ReplayRecord& record,
                        const ModuleMap& modules) {
  SpanReader definition(record.definition);
  const auto describe = definition.get<ModuleToken>();
  const auto function = definition.get<ModuleToken>();
  if (is_known(modules, describe) && is_known(modules, function)) return;
  throw InvalidArgument("bulkhead: \"" + path + "\" is of another build: it was written by " +
                        record.program + " with a build of " + record.module +
                        " that is not loaded here. Run it in the very program that wrote it, once "
                        "its plug-ins are loaded");
}

ReplayRecord load(const std::string& path, const ModuleMap& modules) {
  const std::vector<std::byte> bytes = read_file(path);
  try {
    ReplayRecord record = read_replay(bytes);
    require_same_build(path, record, modules);
    return record;
  } catch (const DecodeError& error) {
    throw InvalidArgument("bulkhead: \"" + path + "\" cannot be replayed: " + error.what());
  }
}

void run(const ReplayRecord& record, const ModuleMap& modules) {
  LocalTask task;
  task.attempt = record.attempt;
  LocalCallable(record.definition).run(modules, record.task, record.argument, task);
}

[[noreturn]] void leave(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

[[noreturn]] void replay_and_leave(const std::string& path, const Options& options) {
  const ModuleMap modules = ModuleMap::snapshot();
  ReplayRecord record;
  try {
    record = load(path, modules);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    leave(kExitUnusable);
  }
  std::fprintf(stderr, "bulkhead: replay of a task that has failed: %s\n", record.failure.c_str());
  try {
    if (options.initializer) options.initializer();
    run(record, modules);
  } catch (const NotShared& error) {
    std::fprintf(stderr, "bulkhead: \"%s\" cannot be replayed: %s\n", path.c_str(), error.what());
    leave(kExitUnusable);
  } catch (...) {
    const FailureDetails thrown = describe_current_exception();
    std::fprintf(stderr, "bulkhead: this time it threw %s: %s\n", thrown.type_name.c_str(),
                 thrown.message.c_str());
    leave(kExitThrew);
  }
  std::fprintf(stderr, "bulkhead: this time it returned\n");
  leave(kExitReturned);
}

}  // namespace

void replay_if_asked(const Options& options) {
  const char* path = ::secure_getenv("BULKHEAD_REPLAY");
  if (path == nullptr || *path == '\0' || replaying.exchange(true)) return;
  replay_and_leave(path, options);
}

}  // namespace detail

void replay(const std::string& file) {
  const detail::ModuleMap modules = detail::ModuleMap::snapshot();
  detail::run(detail::load(file, modules), modules);
}

}  // namespace bulkhead
