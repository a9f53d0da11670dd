// SPDX-License-Identifier: MIT
#include "worker/host.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

/// True if a child that `fork` makes and its own child know their numbers.
template <class Fork>
bool known_in_forks(Fork fork) {
  const pid_t child = fork();
  if (child == 0) {
    const bool known = own_pid() == ::getpid() && own_pid() == ::getpid();
    const pid_t grandchild = fork();
    if (grandchild == 0) ::_exit(own_pid() == ::getpid() ? 0 : 1);
    int status = 0;
    ::_exit(known && ::waitpid(grandchild, &status, 0) == grandchild && status == 0 ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

TEST(OwnPid, IsThatOfTheProcessAlsoInForks) {
  EXPECT_EQ(own_pid(), ::getpid());
  EXPECT_TRUE(known_in_forks([] { return ::fork(); }));
  EXPECT_EQ(own_pid(), ::getpid());
}

TEST(OwnPid, IsThatOfTheProcessInForksThatTheLibraryDoesNotHearOf) {
  EXPECT_EQ(own_pid(), ::getpid());
  EXPECT_TRUE(known_in_forks([] { return static_cast<pid_t>(::syscall(SYS_fork)); }));
}

}  // namespace
}  // namespace bulkhead::detail
