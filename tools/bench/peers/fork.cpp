// SPDX-License-Identifier: MIT
// The floor of `startup`: two processes forked, ended with an answer as exit code, and reaped.

#include "bench.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace {

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

bench::Figure startup(std::size_t size) {
  return bench::startup(size, cycle);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"startup", startup}});
}
