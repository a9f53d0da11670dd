// SPDX-License-Identifier: MIT
//
// What the start methods differ in: where workers' memory, environment and directory come from, and
// what becomes of those who ask too late, or not at all. (That pools are alike otherwise is shown
// by the other tests, which are run under each method.)
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/fork_map.hpp>
#include <bulkhead/init.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::numbers;
using ::testing::HasSubstr;

constexpr std::array kNotForked{StartMethod::forkserver, StartMethod::spawn};

int number = 0;

int number_in_memory() {
  return number;
}
std::string variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value != nullptr ? value : "unset";
}
std::string directory() {
  return std::filesystem::current_path().string();
}

/// Runs `body` in a process that has not called init(). (Should it start this program anew, that
/// does.)
void in_host(const std::function<void()>& body) {
  test::Fork host([&] {
    ::setenv("BULKHEAD_TEST_START", "spawn", 1);
    body();
  });
  const int status = host.wait();
  EXPECT_TRUE(WIFEXITED(status)) << "the host died of signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "expectations failed in the host, see above";
}

/// The fork server of this process, which has a name by then; 0: there is none.
pid_t server() {
  for (const int child : test::children_of(::getpid())) {
    std::string name;
    std::getline(std::ifstream("/proc/" + std::to_string(child) + "/comm"), name);
    if (name == "bulkhead-server") return child;
  }
  return 0;
}

/// init(), and its server.
pid_t server_of_init() {
  init();
  pid_t pid = 0;
  EXPECT_TRUE(test::eventually([&] { return (pid = server()) != 0; }));
  return pid;
}

class StartTest : public test::ProcessTest {};

TEST_F(StartTest, ForkedWorkersHaveTheMemoryOfTheMomentAtWhichThePoolWasMade) {
  in_host([] {
    init();
    number = 7;
    Pool pool(Options{.workers = 1, .start = StartMethod::fork});
    number = 8;
    EXPECT_EQ(pool.apply(number_in_memory), 7);
  });
}

TEST_F(StartTest, WorkersOfTheForkServerHaveTheMemoryAndEnvironmentOfInit) {
  in_host([] {
    number = 6;
    init();
    number = 7;
    ::setenv("BULKHEAD_TEST_WORD", "late", 1);
    ASSERT_EQ(::chdir("/usr"), 0);
    Pool pool(1);
    EXPECT_EQ(pool.apply(number_in_memory), 6);
    EXPECT_EQ(pool.apply(variable, "BULKHEAD_TEST_WORD"), "unset");
    EXPECT_NE(pool.apply(directory), "/usr");
    // Successors are alike.
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_EQ(pool.apply(number_in_memory), 6);
  });
}

TEST_F(StartTest, SpawnedWorkersShareNoMemoryButHaveThePresentEnvironmentAndDirectory) {
  in_host([] {
    number = 6;
    init(StartMethod::spawn);
    ::setenv("BULKHEAD_TEST_WORD", "late", 1);
    ASSERT_EQ(::chdir("/usr"), 0);
    Pool pool(1);
    EXPECT_EQ(pool.apply(number_in_memory), 0);
    EXPECT_EQ(pool.apply(variable, "BULKHEAD_TEST_WORD"), "late");
    EXPECT_EQ(pool.apply(directory), "/usr");
    EXPECT_EQ(pool.apply(variable, "BULKHEAD_SPAWNED"), "unset");
  });
}

// Row 176: host-threads-first.
TEST_F(StartTest, PoolsAreMadeInAnyThreadAndOutliveIt) {
  in_host([] {
    init();
    for (const StartMethod method : kNotForked) {
      std::optional<Pool> pool;
      std::thread([&] { pool.emplace(Options{.workers = 2, .start = method}); }).join();
      test::Tally stop;
      std::thread other([&] { (void)stop.reaches(1); });
      test::expect_usable(*pool);
      Pool second(Options{.workers = 1, .start = method});
      test::expect_usable(second);
      stop.add();
      other.join();
    }
  });
}

// Row 177: host-concurrent-create.
TEST_F(StartTest, ManyThreadsMakePoolsAtTheSameTime) {
  in_host([] {
    init();
    for (const StartMethod method : kNotForked) {
      std::vector<std::thread> threads;
      for (int i = 0; i < 6; ++i) {
        threads.emplace_back([method] {
          Pool pool(Options{.workers = 2, .start = method});
          EXPECT_EQ(pool.map([](int x) { return x; }, numbers(0, 100)), numbers(0, 100));
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
  });
}

TEST_F(StartTest, ForkMapForksWhateverTheMethod) {
  in_host([] {
    init();
    number = 9;
    int captured = 1;
    EXPECT_EQ(fork_map([&](int x) { return x + captured + number; }, std::vector{1, 2}),
              (std::vector{11, 12}));
    const auto ask_for_another = [] {
      fork_map([](int x) { return x; }, std::vector{1}, Options{.start = StartMethod::spawn});
    };
    EXPECT_THAT(test::text_of<InvalidArgument>(ask_for_another),
                HasSubstr("must be StartMethod::fork"));
  });
}

TEST_F(StartTest, HooksAreSentIfTheyCanBe) {
  in_host([] {
    init();
    for (const StartMethod method : kNotForked) {
      const auto set = [](int value) { number = value; };
      Pool pool(Options{.workers = 1, .initializer = partial(set, 5), .start = method});
      EXPECT_EQ(pool.apply(number_in_memory), 5);
      Options options{.start = method};
      options.initializer = [value = 5] { number = value; };
      EXPECT_THAT(test::text_of<InvalidArgument>([&] { Pool refused(options); }),
                  HasSubstr("Options::initializer cannot be sent"));
      options.initializer = nullptr;
      options.finalizer = std::function<void()>([] {});
      EXPECT_THAT(test::text_of<InvalidArgument>([&] { Pool refused(options); }),
                  HasSubstr("Options::finalizer cannot be sent"));
    }
  });
}

TEST_F(StartTest, WithoutInitItsMethodsAreRefused) {
  in_host([] {
    for (const StartMethod method : kNotForked) {
      EXPECT_THAT(test::text_of<InvalidArgument>([&] { Pool pool(Options{.start = method}); }),
                  HasSubstr("bulkhead::init() was not called in this process"));
    }
    const auto unknown = static_cast<StartMethod>(9);
    EXPECT_THAT(test::text_of<InvalidArgument>([&] { Pool pool(Options{.start = unknown}); }),
                HasSubstr("Options::start is 9"));
  });
}

TEST_F(StartTest, InitIsRefusedWhenThereAreThreadsAlready) {
  in_host([] {
    test::Tally stop;
    std::thread other([&] { (void)stop.reaches(1); });
    EXPECT_THAT(test::text_of<Error>([] { init(); }), HasSubstr("has 2 threads already"));
    stop.add();
    other.join();
    init();
    Pool pool(1);
    test::expect_usable(pool);
  });
}

TEST_F(StartTest, InitCalledAgainChangesTheMethodOnly) {
  in_host([] {
    const pid_t first = server_of_init();
    std::thread([] { init(StartMethod::fork); }).join();
    EXPECT_EQ(server(), first);
    number = 5;
    Pool pool(1);
    EXPECT_EQ(pool.apply(number_in_memory), 5);
  });
}

TEST_F(StartTest, ACopyOfTheProcessCallsInitForItself) {
  in_host([] {
    init();
    ::unsetenv("BULKHEAD_TEST_START");
    in_host([] {
      Pool forked(1);  // there is no server of its own
      EXPECT_EQ(forked.apply(::getppid) == 0, false);
      EXPECT_THROW(Pool(Options{.start = StartMethod::forkserver}), InvalidArgument);
      init();
      Pool pool(1);
      test::expect_usable(pool);
    });
    Pool pool(1);
    test::expect_usable(pool);
  });
}

TEST_F(StartTest, WithoutItsServerNoPoolStartsAndThoseThatAreThereGoOn) {
  in_host([] {
    const test::Process killed(server_of_init());
    Pool before(1);
    killed.send(SIGKILL);
    EXPECT_TRUE(killed.ends_within(test::kPatience));
    EXPECT_THAT(test::text_of<Error>([] { Pool pool(1); }), HasSubstr("fork server"));
    test::expect_usable(before);
    Pool spawned(Options{.workers = 1, .start = StartMethod::spawn});
    test::expect_usable(spawned);
    init();  // there is another then
    Pool after(1);
    test::expect_usable(after);
  });
}

TEST_F(StartTest, TheServerEndsWithItsHost) {
  std::optional<test::Process> server_of_host;
  const test::Shared<std::atomic<pid_t>> pid;
  const test::Shared<test::Tally> seen;
  test::Fork host([&] {
    pid->store(server_of_init());
    (void)seen->reaches(1);
    ::raise(SIGKILL);
  });
  ASSERT_TRUE(test::eventually([&] { return pid->load() != 0; }));
  server_of_host.emplace(pid->load());
  seen->add();
  EXPECT_EQ(WTERMSIG(host.wait()), SIGKILL);
  EXPECT_TRUE(server_of_host->ends_within(test::soon()));
}

TEST_F(StartTest, AProgramThatDoesNotComeToInitIsAnErrorThatSaysSo) {
  in_host([] {
    init(StartMethod::spawn);
    ::setenv("BULKHEAD_TEST_MAIN", "leaves before init", 1);
    EXPECT_THAT(test::text_of<Error>([] { Pool pool(1); }),
                HasSubstr("it ended without having come to bulkhead::init()"));
    ::setenv("BULKHEAD_TEST_MAIN", "makes a pool before init", 1);
    EXPECT_THAT(test::text_of<Error>([] { Pool pool(1); }),
                HasSubstr("it ended without having come to bulkhead::init()"));
    ::setenv("BULKHEAD_TEST_MAIN", "starts a thread before init", 1);
    EXPECT_THAT(test::text_of<Error>([] { Pool pool(1); }),
                HasSubstr("it had 2 threads when it came to bulkhead::init()"));
    ::unsetenv("BULKHEAD_TEST_MAIN");
    Pool pool(1);
    test::expect_usable(pool);
  });
}

}  // namespace
}  // namespace bulkhead
