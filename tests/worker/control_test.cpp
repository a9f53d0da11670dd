// SPDX-License-Identifier: MIT
//
// The messages between coordinator and zygote over a real socket.
#include "worker/control.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()), 0);
    here = Descriptor(pair[0]);
    there = Descriptor(pair[1]);
  }

  Descriptor here;
  Descriptor there;
  ControlMessage received;
};

ControlMessage death() {
  ControlMessage message;
  message.kind = ControlKind::died;
  message.epoch = std::uint64_t{1} << 40;
  message.pid = 812;
  message.code = 2;
  message.value = 11;
  message.max_rss_kib = std::int64_t{1} << 33;
  return message;
}

/// What lies behind a descriptor, the same for its duplicates.
std::pair<dev_t, ino_t> identity(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return {status.st_dev, status.st_ino};
}

/// The lowest number that a new descriptor would get.
int next_descriptor() {
  const Descriptor probe(::dup(STDIN_FILENO));
  return probe.get();
}

TEST_F(ControlTest, CarriesAMessage) {
  EXPECT_EQ(send_control(here.get(), death()), 0);
  ASSERT_EQ(receive_control(there.get(), received), Received::message);
  const ControlMessage sent = death();
  EXPECT_EQ(std::memcmp(&received, &sent, sizeof sent), 0);
}

TEST_F(ControlTest, CarriesMessagesInBothDirectionsInOrder) {
  for (int i = 0; i < 3; ++i) {
    ControlMessage message;
    message.pid = i;
    EXPECT_EQ(send_control(here.get(), message), 0);
    message.pid = 10 + i;
    EXPECT_EQ(send_control(there.get(), message), 0);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(receive_control(there.get(), received), Received::message);
    EXPECT_EQ(received.pid, i);
    ASSERT_EQ(receive_control(here.get(), received), Received::message);
    EXPECT_EQ(received.pid, 10 + i);
  }
}

TEST_F(ControlTest, HasNothingWhileNothingWasSent) {
  EXPECT_EQ(receive_control(there.get(), received), Received::nothing);
}

TEST_F(ControlTest, CarriesTwoDescriptors) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const Descriptor reader(pipe[0]);
  const Descriptor writer(pipe[1]);
  ASSERT_EQ(send_control(here.get(), death(), pipe), 0);

  ControlDescriptors fds;
  ASSERT_EQ(receive_control(there.get(), received, &fds), Received::message);
  EXPECT_EQ(received.pid, 812);
  ASSERT_TRUE(fds[0] && fds[1]);
  EXPECT_EQ(identity(fds[0].get()), identity(reader.get()));
  ASSERT_EQ(::write(fds[1].get(), "x", 1), 1);
  char letter = 0;
  EXPECT_EQ(::read(reader.get(), &letter, 1), 1);
  EXPECT_EQ(letter, 'x');
}

TEST_F(ControlTest, ClosesReceivedDescriptorsInWhatTheProcessExecutes) {
  const std::array<int, 2> sent{here.get(), there.get()};
  ASSERT_EQ(send_control(here.get(), death(), sent), 0);
  ControlDescriptors fds;
  ASSERT_EQ(receive_control(there.get(), received, &fds), Received::message);
  EXPECT_NE(::fcntl(fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(fds[1].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ControlTest, ClosesDescriptorsThatNobodyWanted) {
  const std::array<int, 2> sent{here.get(), there.get()};
  ASSERT_EQ(send_control(here.get(), death(), sent), 0);
  const int before = next_descriptor();
  ASSERT_EQ(receive_control(there.get(), received), Received::message);
  EXPECT_EQ(next_descriptor(), before);
}

TEST_F(ControlTest, LeavesDescriptorsEmptyIfNoneCame) {
  ASSERT_EQ(send_control(here.get(), death()), 0);
  ControlDescriptors fds;
  ASSERT_EQ(receive_control(there.get(), received, &fds), Received::message);
  EXPECT_FALSE(fds[0]);
  EXPECT_FALSE(fds[1]);
}

TEST_F(ControlTest, SeesThatTheOtherSideIsGone) {
  here.reset();
  EXPECT_EQ(receive_control(there.get(), received), Received::closed);
  EXPECT_EQ(send_control(there.get(), death()), EPIPE);
}

TEST_F(ControlTest, StillGivesWhatWasSentBeforeTheOtherSideWent) {
  ASSERT_EQ(send_control(here.get(), death()), 0);
  here.reset();
  EXPECT_EQ(receive_control(there.get(), received), Received::message);
  EXPECT_EQ(received.pid, 812);
  EXPECT_EQ(receive_control(there.get(), received), Received::closed);
}

TEST_F(ControlTest, SaysThatTheSocketIsFullAndGoesOnOnceItIsNot) {
  int sent = 0;
  int error = 0;
  while (error == 0 && sent < 100'000) {
    error = send_control(here.get(), death());
    sent += error == 0 ? 1 : 0;
  }
  EXPECT_EQ(error, EAGAIN);
  for (int taken = 0; taken < sent; ++taken) {
    ASSERT_EQ(receive_control(there.get(), received), Received::message);
  }
  EXPECT_EQ(receive_control(there.get(), received), Received::nothing);
  EXPECT_EQ(send_control(here.get(), death()), 0);
}

TEST_F(ControlTest, TakesATruncatedMessageForTheEnd) {
  const ControlMessage message = death();
  ASSERT_GT(::send(here.get(), &message, sizeof message - 1, 0), 0);
  EXPECT_EQ(receive_control(there.get(), received), Received::closed);
}

TEST_F(ControlTest, TakesAMessageThatIsTooLongForTheEnd) {
  const std::string message(sizeof(ControlMessage) + 1, '\0');
  ASSERT_GT(::send(here.get(), message.data(), message.size(), 0), 0);
  EXPECT_EQ(receive_control(there.get(), received), Received::closed);
}

TEST_F(ControlTest, TakesWhatIsNoSocketForTheEnd) {
  EXPECT_EQ(receive_control(-1, received), Received::closed);
  EXPECT_EQ(send_control(-1, death()), EBADF);
}

}  // namespace
}  // namespace bulkhead::detail
