// SPDX-License-Identifier: MIT
#include "worker/reset.hpp"

#include "worker/confine.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <linux/close_range.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBCXX__)
#include <ext/stdio_sync_filebuf.h>
#endif

namespace bulkhead::detail {
namespace {

constexpr int kHighDescriptor = 100;
constexpr int kOomScore = 300;

int deep = 0;

/// For kernels and sandboxes without close_range.
void close_one_by_one(unsigned first, unsigned last) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
  for (unsigned fd = first; fd <= last && fd < end; ++fd) ::close(static_cast<int>(fd));
}

void close_between(unsigned first, unsigned last) {
  if (first > last) return;
  if (::syscall(SYS_close_range, first, last, 0) != 0) close_one_by_one(first, last);
}

}  // namespace

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_descriptors(std::span<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned next = 3;
  for (const int fd : keep) {
    if (fd < 3) continue;
    close_between(next, static_cast<unsigned>(fd) - 1);
    next = static_cast<unsigned>(fd) + 1;
  }
  close_between(next, ~0U);
  if (std::find(keep.begin(), keep.end(), 0) != keep.end()) return;
  const int null = ::open("/dev/null", O_RDONLY);
  if (null > 0) {
    ::dup2(null, 0);
    ::close(null);
  }
}

int move_high(int fd) {
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, kHighDescriptor);
  if (high < 0) return fd;
  ::close(fd);
  return high;
}

void drop_buffered_output() {
  ::__fpurge(stdout);
  ::__fpurge(stderr);
}

void die_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
}

void name_process(const char* name) {
  ::prctl(PR_SET_NAME, name);
}

int pools_deep() {
  return deep;
}

void set_pools_deep(int pools) {
  deep = pools;
}

void become_worker(const char* name) {
  ++deep;
  name_process(name);
  ::setpgid(0, 0);
  set_oom_score(kOomScore);  // best effort: a host with a higher one of its own keeps that
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
#if defined(__GLIBCXX__)
  // With sync_with_stdio(false) these have buffers of their own, and the host's text in them.
  std::cout.rdbuf(new __gnu_cxx::stdio_sync_filebuf<char>(stdout));
  std::clog.rdbuf(new __gnu_cxx::stdio_sync_filebuf<char>(stderr));
#endif
}

}  // namespace bulkhead::detail
