// SPDX-License-Identifier: MIT
#include "tests/chaos/ledger.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace bulkhead::chaos {
namespace {

const test::Shared<test::Tally> tally;
std::filesystem::path path;
int file = -1;

}  // namespace

const test::Tally& begun() {
  return *tally;
}

void set_ledger(const std::filesystem::path& new_path) {
  path = new_path;
  std::ofstream(path).close();
}

void open_ledger() {
  file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) throw std::system_error(errno, std::generic_category(), path);
}

void note(Event event, const Task& task, int attempt) {
  Record record;
  record.call = task.call;
  record.index = task.index;
  record.attempt = static_cast<std::uint16_t>(attempt);
  record.event = event;
  record.pid = ::getpid();
  record.signature = signature_of(task, attempt);
  // A full disk must not look like a task that never ran.
  if (::write(file, &record, sizeof record) != sizeof record) std::abort();
  if (event == Event::begun) tally->add();
}

std::vector<Record> read_ledger(const std::filesystem::path& from) {
  std::vector<Record> records(std::filesystem::file_size(from) / sizeof(Record));
  std::ifstream in(from, std::ios::binary);
  const auto bytes = static_cast<std::streamsize>(records.size() * sizeof(Record));
  in.read(reinterpret_cast<char*>(records.data()), bytes);
  if (in.gcount() != bytes || in.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error("the ledger ends in the middle of a record");
  }
  return records;
}

}  // namespace bulkhead::chaos
