// SPDX-License-Identifier: MIT
// What processes cost. `startup`: two forked, ended with an answer as exit code, and reaped.
// `recovery`: one killed and reaped, another forked, and its answer read from a pipe. `death`: only
// the first half of that, before which nobody can know of a death.

#include "bench.hpp"
#include "peers/two_processes.hpp"
#include "workloads.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr int kArgument = 41;

/// The exit code that both children left with, or -1.
std::int64_t cycle() {
  std::array<pid_t, 2> children{};
  for (pid_t& child : children) {
    child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) ::_exit(kArgument + 1);
  }
  std::int64_t answer = kArgument + 1;
  for (const pid_t child : children) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    if (WEXITSTATUS(status) != answer) answer = -1;
  }
  return answer;
}

bench::Figure startup(const bench::Request& request) {
  return bench::startup(request, cycle);
}

/// From the moment at which a child that has answered and sleeps is killed.
bench::Figure time_death(const bench::Request& request, bool replaced) {
  const bench::Pipe answers;
  const auto serve = [&] {
    answers.post(kArgument + 1);
    ::pause();
  };
  std::vector<double> taken(request.size);
  for (double& one : taken) {
    std::optional<bench::Child> child(std::in_place, serve);
    bench::require(answers.take() == kArgument + 1, "wrong answer of a child");
    std::this_thread::sleep_for(20ms);
    one = bench::seconds([&] {
      child.reset();
      if (!replaced) return;
      child.emplace(serve);
      bench::require(answers.take() == kArgument + 1, "wrong answer of a new child");
    });
  }
  return {bench::median(std::move(taken)) * 1e3, "ms"};
}

bench::Figure recovery(const bench::Request& request) {
  return time_death(request, true);
}

bench::Figure death(const bench::Request& request) {
  return time_death(request, false);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"startup", startup}, {"recovery", recovery}, {"death", death}});
}
