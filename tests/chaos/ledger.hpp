// SPDX-License-Identifier: MIT
//
// The ledger: what the tasks themselves have written down, in a file that all workers of a pool
// append to. A record is written by one system call and never across a page, so it is there as a
// whole, or not at all, whatever happens to the worker.
#pragma once

#include "tests/chaos/plan.hpp"
#include "tests/support/shared.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace bulkhead::chaos {

enum class Event : std::uint16_t { begun = 1, ended = 2 };

struct Record {
  std::uint64_t call = 0;
  std::uint32_t index = 0;
  std::uint16_t attempt = 0;
  Event event = Event::begun;
  std::int32_t pid = 0;
  std::uint32_t unused = 0;
  std::uint64_t signature = 0;
};
static_assert(sizeof(Record) == 32, "a page is a multiple of it");

/// Attempts that have begun, of all tasks of this run of the program.
[[nodiscard]] const test::Tally& begun();

/// The file of the workers that are forked from now on.
void set_ledger(const std::filesystem::path& file);
/// For the initializer of each worker.
void open_ledger();
/// For tasks.
void note(Event event, const Task& task, int attempt);

/// For the audit, when no worker is left. Throws if the file is damaged.
[[nodiscard]] std::vector<Record> read_ledger(const std::filesystem::path& file);

}  // namespace bulkhead::chaos
