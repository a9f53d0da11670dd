// SPDX-License-Identifier: MIT
//
// One writer per page, as the kernel sees it.
#include "worker/memory.hpp"

#include <bulkhead/error.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using Access = Memory::Access;

constexpr std::size_t kBytes = 4 * kPageBytes;

/// Error number of the step, or 0.
template <class Step>
int error_of(Step step) {
  try {
    step();
  } catch (const SystemError& error) {
    return error.error_number();
  }
  return 0;
}

/// Wait status of a fork of this process that runs `body`, which returns its exit code.
template <class Body>
int status_of_fork(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

TEST(SharedMemory, HasTheSizeThatWasAskedForAndIsZeroed) {
  const Descriptor fd = create_memory(kBytes);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(kBytes));
  const Memory memory(fd, kBytes, Access::read_only);
  EXPECT_EQ(memory.size(), kBytes);
  EXPECT_EQ(memory.data()[0], std::byte{0});
  EXPECT_EQ(memory.data()[kBytes - 1], std::byte{0});
}

TEST(SharedMemory, CannotBeResized) {
  const Descriptor fd = create_memory(kBytes);
  EXPECT_EQ(::ftruncate(fd.get(), 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(2 * kBytes)), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedMemory, IsClosedInWhatTheProcessExecutes) {
  const Descriptor fd = create_memory(kBytes);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(SharedMemory, ShowsTheReaderWhatTheWriterWrites) {
  const Descriptor fd = create_memory(kBytes);
  const Memory writer(fd, kBytes, Access::read_write);
  const Memory reader(fd, kBytes, Access::read_only);
  EXPECT_NE(writer.data(), reader.data());
  writer.data()[kPageBytes] = std::byte{42};
  EXPECT_EQ(reader.data()[kPageBytes], std::byte{42});
}

TEST(SharedMemory, IsSeenByAnotherProcess) {
  const Descriptor fd = create_memory(kBytes);
  const Memory reader(fd, kBytes, Access::read_only);
  status_of_fork([&fd] {
    const Memory writer(fd, kBytes, Access::read_write);
    writer.data()[0] = std::byte{7};
    return 0;
  });
  EXPECT_EQ(reader.data()[0], std::byte{7});
}

TEST(SharedMemory, FaultsWhenItIsWrittenThroughAReadOnlyMapping) {
  const Descriptor fd = create_memory(kBytes);
  const Memory reader(fd, kBytes, Access::read_only);
  const int status = status_of_fork([&reader] {
    ::signal(SIGSEGV, SIG_DFL);
    *const_cast<volatile std::byte*>(reader.data()) = std::byte{1};
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  EXPECT_EQ(reader.data()[0], std::byte{0});
}

TEST(SharedMemory, CanBeSealedSoThatNobodyElseMapsItWritable) {
  const Descriptor fd = create_memory(kBytes);
  const Memory writer(fd, kBytes, Access::read_write);
  seal_against_writing(fd);
  EXPECT_EQ(error_of([&fd] { Memory(fd, kBytes, Access::read_write); }), EPERM);
  const Memory reader(fd, kBytes, Access::read_only);
  writer.data()[0] = std::byte{42};
  EXPECT_EQ(reader.data()[0], std::byte{42});
}

TEST(SharedMemory, OnceSealedCannotBeMadeWritableLater) {
  const Descriptor fd = create_memory(kBytes);
  seal_against_writing(fd);
  const Memory reader(fd, kBytes, Access::read_only);
  EXPECT_EQ(::mprotect(reader.data(), kBytes, PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(::write(fd.get(), "x", 1), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedMemory, SaysThatItCannotBeSealedTwice) {
  const Descriptor fd = create_memory(kBytes);
  seal_against_writing(fd);
  try {
    seal_against_writing(fd);
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_STREQ(error.what(), "bulkhead: cannot seal shared memory: Operation not permitted");
  }
}

TEST(SharedMemory, SaysThatItCannotBeMapped) {
  const Descriptor none;
  try {
    const Memory memory(none, kBytes, Access::read_only);
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_STREQ(error.what(),
                 "bulkhead: cannot map 16384 bytes of shared memory: Bad file descriptor");
    EXPECT_EQ(error.error_number(), EBADF);
  }
}

TEST(SharedMemory, SaysThatItCannotBeMadeSoLarge) {
  try {
    (void)create_memory(std::size_t{1} << 63);
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_STREQ(
        error.what(),
        "bulkhead: cannot size 9223372036854775808 bytes of shared memory: Invalid argument");
    EXPECT_EQ(error.error_number(), EINVAL);
  }
}

TEST(SharedMemory, IsUnmappedWithItsMemory) {
  const Descriptor fd = create_memory(kBytes);
  std::optional<Memory> memory(std::in_place, fd, kBytes, Access::read_only);
  std::byte* const data = memory->data();
  ASSERT_EQ(::msync(data, kBytes, MS_ASYNC), 0);
  memory.reset();
  EXPECT_EQ(::msync(data, kBytes, MS_ASYNC), -1);
  EXPECT_EQ(errno, ENOMEM);
}

TEST(SharedMemory, IsInheritedByForksUnlessItIsKeptPrivate) {
  const Descriptor fd = create_memory(kBytes);
  const Memory memory(fd, kBytes, Access::read_write);
  const auto mapped = [&memory] { return ::msync(memory.data(), kBytes, MS_ASYNC) == 0 ? 1 : 2; };
  EXPECT_EQ(WEXITSTATUS(status_of_fork(mapped)), 1);
  memory.keep_private();
  EXPECT_EQ(WEXITSTATUS(status_of_fork(mapped)), 2);
  EXPECT_EQ(mapped(), 1);
}

/// The line of /proc/self/smaps that has the flags of the mapping at `data`.
std::string flags_of(const std::byte* data) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool found = false;
  while (std::getline(smaps, line)) {
    std::size_t used = 0;
    if (line.find('-') != std::string::npos && line.find("VmFlags") == std::string::npos) {
      try {
        found = std::stoull(line, &used, 16) == reinterpret_cast<std::uintptr_t>(data);
      } catch (const std::exception&) {
        continue;
      }
    }
    if (found && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return {};
}

TEST(SharedMemory, IsLeftOutOfCoreDumpsIfItIsKeptPrivate) {
  const Descriptor fd = create_memory(kBytes);
  const Memory memory(fd, kBytes, Access::read_only);
  memory.keep_private();
  const std::string flags = flags_of(memory.data());
  if (flags.empty()) GTEST_SKIP() << "this kernel does not tell the flags of mappings";
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  EXPECT_NE(flags.find(" dc "), std::string::npos) << flags;
}

TEST(SharedMemory, HoldsWordsCrashPageAndRingWithoutOverlap) {
  constexpr std::size_t kRing = 8192;
  const Descriptor fd = create_memory(outbox_bytes(kRing));
  const Memory outbox(fd, outbox_bytes(kRing), Access::read_only);
  EXPECT_LE(sizeof(OutboxWords), kPageBytes);
  EXPECT_EQ(crash_page(outbox), outbox.data() + kPageBytes);
  EXPECT_EQ(outbox_data(outbox), crash_page(outbox) + kCrashPageBytes);
  EXPECT_EQ(outbox_data(outbox) + kRing, outbox.data() + outbox.size());

  const Memory inbox(fd, inbox_bytes(kRing), Access::read_only);
  EXPECT_LE(sizeof(InboxWords), kPageBytes);
  EXPECT_EQ(inbox_data(inbox) + kRing, inbox.data() + inbox.size());
}

}  // namespace
}  // namespace bulkhead::detail
