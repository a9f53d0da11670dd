// SPDX-License-Identifier: MIT
#include "runtime/replay_saver.hpp"

#include "serialization/replay_record.hpp"
#include "worker/module.hpp"
#include "worker/replay_file.hpp"
#include <bulkhead/error.hpp>

#include <cerrno>
#include <exception>
#include <memory>

namespace bulkhead::detail {
namespace {

constexpr int kMostFiles = 100;
/// Others may be at work in the same directory.
constexpr int kMostCollisions = 100;

bool is_worth_saving(FailureKind kind) {
  return kind == FailureKind::exception || kind == FailureKind::crashed ||
         kind == FailureKind::timed_out || kind == FailureKind::out_of_memory;
}

}  // namespace

void ReplaySaver::save(const Job& job, std::uint64_t task, std::span<const std::byte> definition,
                       FailureDetails& details) {
  if (!is_worth_saving(details.kind) || files_ > kMostFiles) return;
  if (files_++ == kMostFiles) {
    return log_.warn(std::to_string(kMostFiles) +
                     " tasks of the call have been saved, or should have been; no more are");
  }
  const std::string name = "task " + std::to_string(details.task);
  try {
    details.replay_file = write(job, task, definition, details);
    log_.warn(name + " has failed; to run it again, set BULKHEAD_REPLAY=" + details.replay_file);
  } catch (const SystemError& error) {
    files_ = kMostFiles + 1;  // the next one would fill the disk in vain, too
    details.not_saved = error.what();
    log_.error(name +
               " has failed, and could not be saved, nor will others of the call: " + error.what());
  } catch (const std::exception& error) {
    log_.error(name + " has failed, and could not be saved: " + error.what());
  } catch (...) {
    log_.error(name + " has failed, and could not be saved: its codec threw");
  }
}

std::string ReplaySaver::write(const Job& job, std::uint64_t task,
                               std::span<const std::byte> definition,
                               const FailureDetails& details) {
  std::unique_ptr<ReplayFileWriter> file;
  std::string path;
  for (int collisions = 0; !file; ++collisions) {
    if (call_ == 0) call_ = next_replay_call(directory_);
    path = replay_path(directory_, call_, details.task);
    try {
      file = std::make_unique<ReplayFileWriter>(path, kMostReplayBytes - bytes_);
    } catch (const SystemError& error) {
      if (error.error_number() != EEXIST || collisions == kMostCollisions) throw;
      call_ = 0;
    }
  }
  ReplayRecord record;
  record.task = details.task;
  record.attempt = details.attempt;
  record.failure = Failure(details).what();
  record.program = program_path();
  record.module = ModuleMap::name_of(reinterpret_cast<const void*>(job.describe()));
  record.definition.assign(definition.begin(), definition.end());
  write_replay_head(record, *file);
  job.encode_argument(task, *file);
  file->finish();
  bytes_ += file->size();
  return path;
}

}  // namespace bulkhead::detail
