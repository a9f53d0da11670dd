// SPDX-License-Identifier: MIT
//
// Hosts in odd places: with a tiny /dev/shm or none, without /proc, in an empty root folder. Each
// has a mount namespace of its own; where that is not allowed, there is nothing to be tested.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using HostPlaceTest = test::ProcessTest;

constexpr int kNotAllowed = 77;

/// From now on mounts of this process are nobody else's.
void have_own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) ::_exit(kNotAllowed);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(kNotAllowed);
}

/// An empty file system of that size at `path`.
void mount_empty(const char* path, const char* size) {
  if (::mount("none", path, "tmpfs", 0, size) != 0) ::_exit(kNotAllowed);
}

/// Runs `body` in a fork. False if the system did not let it.
bool run(const std::function<void()>& body) {
  test::Fork host(body);
  const int status = host.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowed) return false;
  EXPECT_EQ(status, 0);
  return true;
}

// Row 181: shm-full.
TEST_F(HostPlaceTest, WithATinyShmServesValuesThatWouldNotFit) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/dev/shm", "size=64k");
    test::expect_everything_works();
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

// Row 182: shm-absent. Nor is there a /dev/null.
TEST_F(HostPlaceTest, WithoutAnyDevicesServesAsElsewhere) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/dev", "size=4k");
    test::expect_everything_works();
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

TEST_F(HostPlaceTest, WithoutANullDeviceCannotDiscardOutputAndSaysSo) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/dev", "size=4k");
    try {
      Pool pool(Options{.workers = 1, .output = Output::discard});
      ADD_FAILURE() << "a pool was made";
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("/dev/null"));
    }
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

// Broadcasts are found by way of /proc.
TEST_F(HostPlaceTest, WithoutProcServesAllButBroadcasts) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/proc", "size=4k");
    Pool pool(2);
    test::expect_usable(pool);
    test::expect_no_broadcasts(pool, "/proc");
    test::expect_usable(pool);
    pool.close();
    pool.join();
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

TEST_F(HostPlaceTest, InAnEmptyRootFolderServesAllButBroadcasts) {
  std::array<char, 32> root{"/tmp/bulkhead-test-XXXXXX"};
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  const bool allowed = run([&root] {
    if (::chroot(root.data()) != 0 || ::chdir("/") != 0) ::_exit(kNotAllowed);
    Pool pool(2);
    test::expect_usable(pool);
    pool.close();
    pool.join();
  });
  EXPECT_EQ(::rmdir(root.data()), 0) << "files were left";
  if (!allowed) GTEST_SKIP() << "only root may choose a root folder";
}

TEST_F(HostPlaceTest, AKeyedJobWhoseSpillFolderIsFullSaysSoAndLeavesNothing) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/mnt", "size=1m");
    Pool pool(2);
    const auto emit_all = [](int x, auto& emit) { emit(std::to_string(x) + "; a long key", x); };
    const KeyedOptions options{.memory = std::uint64_t{1} << 20, .spill = {"/mnt"}};
    EXPECT_THAT(test::text_of<SystemError>([&] {
                  (void)pool.map_reduce_by_key<std::string, int>(test::numbers(0, 200'000),
                                                                 emit_all, sum, options);
                }),
                ::testing::HasSubstr("cannot be written to /mnt: No space left on device"));
    EXPECT_TRUE(std::filesystem::is_empty("/mnt"));
    auto few =
        pool.map_reduce_by_key<std::string, int>(test::numbers(0, 10), emit_all, sum, options);
    EXPECT_EQ(std::ranges::distance(few.begin(), few.end()), 10);
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

TEST_F(HostPlaceTest, ASpillFolderThatIsFullIsLeftForAnother) {
  const bool allowed = run([] {
    have_own_mounts();
    mount_empty("/mnt", "size=1m");
    Pool pool(2);
    const auto emit_all = [](int x, auto& emit) { emit(std::to_string(x) + "; a long key", x); };
    const KeyedOptions options{.memory = std::uint64_t{1} << 20, .spill = {"/mnt", "/var/tmp"}};
    auto all =
        pool.map_reduce_by_key<std::string, int>(test::numbers(0, 100'000), emit_all, sum, options);
    EXPECT_EQ(std::ranges::distance(all.begin(), all.end()), 100'000);
    EXPECT_GT(all.stats().spilled_bytes, std::uint64_t{3} << 20) << "half of it to each folder";
    auto by_workers = all.sorted();
    EXPECT_EQ(std::ranges::distance(by_workers.begin(), by_workers.end()), 100'000);
    pool.close();
    auto here = all.sorted();
    EXPECT_EQ(std::ranges::distance(here.begin(), here.end()), 100'000);
  });
  if (!allowed) GTEST_SKIP() << "mounts are not allowed here";
}

}  // namespace
}  // namespace bulkhead
