// SPDX-License-Identifier: MIT
#include "worker/wake.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <limits>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

class Bell : public ::testing::Test {
 protected:
  /// Whether the sleeper is woken by a bell, at once.
  [[nodiscard]] bool wakes() const { return events_.wait(0ms).bell; }
  [[nodiscard]] const EventSet& events() const { return events_; }

  Doorbell doorbell;
  Doorbell own_bell;

 private:
  Descriptor control_{::eventfd(0, EFD_CLOEXEC)};
  Descriptor zygote_{::eventfd(0, EFD_CLOEXEC)};
  EventSet events_{doorbell.fd(), own_bell.fd(), control_.get(), zygote_.get()};
};

TEST_F(Bell, IsSilentAtFirst) {
  EXPECT_FALSE(wakes());
}

TEST_F(Bell, WakesOnceForEachTimeItIsRung) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(doorbell.ring());
    EXPECT_TRUE(wakes());
    EXPECT_FALSE(wakes());
  }
}

TEST_F(Bell, RingsThoughATaskHasFilledItsCounter) {
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max() - 1;
  ASSERT_EQ(::write(doorbell.fd(), &most, sizeof most), sizeof most);
  EXPECT_TRUE(wakes());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(doorbell.ring());
    EXPECT_TRUE(wakes());
  }
}

TEST_F(Bell, WakesOnceForADeath) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_TRUE(pidfd);
  const std::uint64_t epoch = (std::uint64_t{1} << 40) + 7;
  ASSERT_TRUE(watch_death(events().fd(), pidfd.get(), epoch));
  EXPECT_TRUE(events().wait(0ms).timed_out());
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  const Wakeup wakeup = events().wait(10s);
  ASSERT_EQ(wakeup.deaths, 1U);
  EXPECT_EQ(wakeup.dead[0], epoch);
  EXPECT_FALSE(wakeup.bell || wakeup.control || wakeup.zygote || wakeup.output);
  EXPECT_TRUE(events().wait(0ms).timed_out());
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST(Doorbell, SaysThatItsDescriptorIsGone) {
  const Doorbell doorbell;
  EXPECT_TRUE(doorbell.usable());
  const int copy = ::fcntl(doorbell.fd(), F_DUPFD_CLOEXEC, 3);
  ASSERT_EQ(::close(doorbell.fd()), 0);
  EXPECT_FALSE(doorbell.usable());
  EXPECT_FALSE(doorbell.ring());
  ASSERT_EQ(::dup2(copy, doorbell.fd()), doorbell.fd());
  ::close(copy);
}

}  // namespace
}  // namespace bulkhead::detail
