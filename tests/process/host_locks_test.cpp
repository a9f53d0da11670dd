// SPDX-License-Identifier: MIT
//
// Hosts whose other threads take and leave locks all the time: of memory, of streams, of the
// loader, and their own.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <link.h>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::SizeIs;
using HostLocksTest = test::ProcessTest;

/// Threads that do something again and again until this is destroyed.
class Crowd {
 public:
  void add(std::function<void()> action) {
    threads_.emplace_back([this, action = std::move(action)] {
      while (!over_) action();
    });
  }
  Crowd() = default;
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> over_ = false;
  std::vector<std::thread> threads_;
};

void allocate() {
  const std::vector<std::string> texts(20, std::string(200, 'a'));
  std::free(std::malloc(300'000));
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

void print() {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/dev/null", "we"));
  for (int i = 0; i < 20; ++i) std::fprintf(file.get(), "line %d\n", i);
  std::fflush(stdout);
}

void load_module() {
  if (void* module = ::dlopen("libBrokenLocale.so.1", RTLD_NOW)) ::dlclose(module);
}

void list_modules() {
  const auto count = [](dl_phdr_info*, std::size_t, void* sum) {
    ++*static_cast<int*>(sum);
    return 0;
  };
  int modules = 0;
  ::dl_iterate_phdr(count, &modules);
}

/// What a task may want of these locks.
int take_locks(int x) {
  allocate();
  print();
  return x;
}

// Workers are forked from the zygote, which has one thread: none begins with a lock that is held.
TEST_F(HostLocksTest, NoLockOfAThreadHoldsUpAWorkerOrItsSuccessors) {
  Pool pool(2);
  std::mutex mutex;
  Crowd crowd;
  crowd.add(allocate);
  crowd.add(print);
  crowd.add(load_module);
  crowd.add(list_modules);
  crowd.add([&mutex] {
    const std::scoped_lock lock(mutex);
    allocate();
  });
  for (int round = 0; round < 30; ++round) {
    EXPECT_EQ(pool.map(take_locks, test::numbers(0, 50)), test::numbers(0, 50));
    EXPECT_THROW((void)pool.apply(test::segfaults, 0), CrashError);
    const std::scoped_lock lock(mutex);
    EXPECT_EQ(pool.apply(take_locks, round), round);
  }
}

// The risk of which the option speaks is there for other locks: those of memory and of streams are
// looked after by fork(2) of the C library.
TEST_F(HostLocksTest, PoolsMayBeMadeWhileThreadsAllocateAndPrint) {
  if (test::kSanitized) GTEST_SKIP() << "the sanitizers fork with their own locks held";
  Crowd crowd;
  crowd.add(allocate);
  crowd.add(print);
  for (int round = 0; round < 60; ++round) {
    Pool pool(Options{.workers = 2, .risk_locks_held_by_other_threads = true});
    EXPECT_THAT(pool.map(take_locks, test::numbers(0, 20)), SizeIs(20));
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_EQ(pool.apply(take_locks, round), round);
    if (round % 2 == 0) continue;
    pool.close();
    pool.join();
  }
}

}  // namespace
}  // namespace bulkhead
