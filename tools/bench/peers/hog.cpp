// SPDX-License-Identifier: MIT
// A process that wants a CPU for itself, to run beside a benchmark. It ends with the process that
// started it, and after two deadlines in any case.

#include "bench.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int main() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(2 * bench::kDeadlineSeconds);
  if (::getppid() == 1) return 1;  // the parent died before the first line
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}
