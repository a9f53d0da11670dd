// SPDX-License-Identifier: MIT
//
// A long run of pools under everything that may happen to them: see README.md of tests.
//
//   chaos [--tasks N] [--minutes M] [--seed S]     default: 20,000 tasks and a seed of its own
#include "tests/chaos/audit.hpp"
#include "tests/support/footprint.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bulkhead::chaos {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

/// No round takes as long, unless it hangs: then SIGALRM ends the program.
constexpr unsigned kHangs = 120;
constexpr std::uint64_t kMostComplaints = 50;

struct Settings {
  std::uint64_t tasks = test::kSanitized ? 3'000 : 20'000;
  std::chrono::minutes time{0};
  std::uint64_t seed = std::random_device{}();
};
Settings settings;

/// A directory of our own, and what is in it, until the end of the scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(fs::temp_directory_path() / "bulkhead-chaos.XXXXXX") {
    std::string name = path_;
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Of this process.
unsigned long resident_mebibytes() {
  unsigned long total = 0;
  unsigned long resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<unsigned long>(::sysconf(_SC_PAGESIZE)) >> 20;
}

void print(const Totals& totals) {
  const auto failures = [&](FailureKind kind) {
    return totals.failures.at(static_cast<std::size_t>(kind));
  };
  const std::array<std::pair<const char*, std::uint64_t>, 19> rows{{
      {"pools", totals.pools},
      {"pools that were terminated", totals.terminated_pools},
      {"pools that broke", totals.broken_pools},
      {"calls", totals.calls},
      {"calls that were refused", totals.refused_calls},
      {"workers killed", totals.kills},
      {"processes stopped for a while", totals.stops},
      {"workers of killed zygotes", totals.orphans},
      {"tasks", totals.tasks},
      {"attempts that began", totals.attempts},
      {"attempts after the first", totals.retried},
      {"values", totals.values},
      {"exceptions", failures(FailureKind::exception)},
      {"crashes", failures(FailureKind::crashed)},
      {"time-outs", failures(FailureKind::timed_out)},
      {"cancelled", failures(FailureKind::cancelled)},
      {"not run", failures(FailureKind::not_run)},
      {"mismatches", totals.mismatches},
      {"MiB of this process", resident_mebibytes()},
  }};
  for (const auto& [name, value] : rows) {
    std::printf("| %-29s | %10llu |\n", name, static_cast<unsigned long long>(value));
  }
  std::printf("\n");
  std::fflush(stdout);
}

/// A zygote that has not ended a second after it was told to (it is stopped, or gets no CPU) is
/// killed. Its workers die of that; and this process adopts what it must reap then.
std::uint64_t reap_orphans(const test::Footprint& before) {
  std::uint64_t count = 0;
  for (const int pid : test::children_of(::getpid())) {
    if (before.children.contains(pid)) continue;
    EXPECT_TRUE(test::Process(pid).ends_within(test::soon())) << "process " << pid << " lives on";
    ::waitpid(pid, nullptr, WNOHANG);
    ++count;
  }
  return count;
}

using ChaosTest = test::ProcessTest;

// Row 190: chaos. An hour of it: --minutes 60.
TEST_F(ChaosTest, EachTaskHasOneOutcomeThatAgreesWithWhatItDid) {
  std::printf("--seed %lu\n", static_cast<unsigned long>(settings.seed));
  set_seed(settings.seed);
  Random random(settings.seed);
  const TemporaryDirectory directory;
  const fs::path ledger = directory.path() / "ledger";
  const test::Footprint before = test::Footprint::now();
  const auto end = steady_clock::now() + settings.time;
  auto next_print = steady_clock::now() + std::chrono::minutes{1};
  Totals totals;
  for (std::uint64_t next_call = 1; totals.tasks < settings.tasks || steady_clock::now() < end;) {
    ::alarm(kHangs);
    const RoundReport round = run_round(random, ledger, next_call);
    for (const std::string& complaint : audit(round, read_ledger(ledger), totals)) {
      ADD_FAILURE() << complaint;
    }
    totals.orphans += reap_orphans(before);
    test::expect_unchanged(before);
    if (totals.mismatches > kMostComplaints) break;
    if (steady_clock::now() < next_print) continue;
    next_print += std::chrono::minutes{1};
    print(totals);
  }
  ::alarm(0);
  print(totals);
}

std::uint64_t number(const std::string& text) {
  std::size_t end = 0;
  const std::uint64_t value = std::stoull(text, &end);
  if (end != text.size()) throw std::invalid_argument(text);
  return value;
}

bool read_arguments(int argc, char** argv) try {
  if (argc % 2 != 1) return false;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const std::uint64_t value = number(argv[i + 1]);
    if (name == "--tasks") {
      settings.tasks = value;
    } else if (name == "--minutes") {
      settings.time = std::chrono::minutes{value};
    } else if (name == "--seed") {
      settings.seed = value;
    } else {
      return false;
    }
  }
  return true;
} catch (const std::logic_error&) {
  return false;
}

}  // namespace
}  // namespace bulkhead::chaos

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!bulkhead::chaos::read_arguments(argc, argv)) {
    std::fprintf(stderr, "usage: chaos [--tasks N] [--minutes M] [--seed S]\n");
    return 2;
  }
  return RUN_ALL_TESTS();
}
