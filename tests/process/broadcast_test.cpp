// SPDX-License-Identifier: MIT
//
// One copy for all processes.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using BroadcastTest = test::ProcessTest;

std::int64_t sum_of(const Broadcast<std::int64_t[]>& numbers, int) {
  return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

Broadcast<std::int64_t[]> numbers_to(std::size_t count) {
  return broadcast<std::int64_t[]>(
      count, [](std::span<std::int64_t> all) { std::iota(all.begin(), all.end(), 0); });
}

/// Memory of this process that is in no file of the disk.
std::uint64_t rss_kib() {
  std::ifstream file("/proc/self/status");
  std::uint64_t sum = 0;
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "RssAnon:" || word == "RssShmem:") file >> kib;
    sum += kib;
  }
  return sum;
}

/// Mappings of this process that come from a memfd of ours as large as that.
int mappings_of(std::size_t bytes) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  int count = 0;
  while (std::getline(maps, line)) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    if (line.find("/memfd:bulkhead") == std::string::npos) continue;
    std::sscanf(line.c_str(), "%lx-%lx", &begin, &end);
    count += end - begin == bytes + 4096 ? 1 : 0;
  }
  return count;
}

TEST_F(BroadcastTest, ArraysAreReadByWorkersThatWereThereBefore) {
  Pool pool(2);
  const Broadcast<std::int64_t[]> numbers = numbers_to(1000);
  EXPECT_EQ(numbers.size(), 1000U);
  EXPECT_EQ(numbers[999], 999);
  EXPECT_THAT(pool.map(partial(sum_of, numbers), test::numbers(0, 50)), Each(499'500));
  EXPECT_EQ(pool.apply(sum_of, numbers, 0), 499'500);
}

TEST_F(BroadcastTest, VectorsStringsAndSpansAreCopiedOnce) {
  Pool pool(1);
  std::vector<double> values{1.5, 2.5};
  const auto shared = broadcast(values);
  values[0] = 100;
  EXPECT_EQ(pool.apply([](const Broadcast<double[]>& v) { return v[0] + v[1]; }, shared), 4);
  const auto text = broadcast(std::string("bulkhead"));
  EXPECT_EQ(
      pool.apply([](const Broadcast<char[]>& t) { return std::string(t.begin(), t.end()); }, text),
      "bulkhead");
  const auto none = broadcast(std::span<const int>());
  EXPECT_EQ(pool.apply([](const Broadcast<int[]>& v) { return v.size(); }, none), 0U);
  EXPECT_TRUE(pool.apply([](const Broadcast<int[]>& v) { return v.empty(); }, Broadcast<int[]>()));
}

TEST_F(BroadcastTest, AnyValueWithACodecCanBeShared) {
  using Dictionary = std::map<std::string, std::vector<int>>;
  Pool pool(2);
  const auto dictionary = broadcast(Dictionary{{"one", {1}}, {"two", {2, 2}}});
  EXPECT_EQ(dictionary->size(), 2U);
  const auto look_up = [](const Broadcast<Dictionary>& words, const std::string& word) {
    return words->at(word).size();
  };
  EXPECT_THAT(pool.starmap(look_up, std::vector{std::tuple(dictionary, std::string("one")),
                                                std::tuple(dictionary, std::string("two"))}),
              ElementsAre(1, 2));
}

TEST_F(BroadcastTest, AValueIsDecodedOnceInEachWorker) {
  struct Counted {
    std::vector<int> numbers;
    int decodings = 0;
    void serialize(detail::Saver& archive) { archive(numbers); }
    void serialize(detail::Loader& archive) {
      static int count = 0;
      archive(numbers);
      decodings = ++count;
    }
  };
  Pool pool(1);
  const auto shared = broadcast(Counted{{1, 2}, 0});
  const auto decodings = [](const Broadcast<Counted>& value) { return value->decodings; };
  for (int call = 0; call < 5; ++call) EXPECT_LE(pool.apply(decodings, shared), 2);
}

TEST_F(BroadcastTest, NobodyCanWriteToIt) {
  Pool pool(1);
  const auto numbers = numbers_to(10);
  const auto write = [](const Broadcast<std::int64_t[]>& all) {
    const_cast<std::int64_t&>(all[3]) = 99;
    return 0;
  };
  const auto unlock = [](const Broadcast<std::int64_t[]>& all) {
    auto* page = const_cast<std::int64_t*>(all.data());
    return ::mprotect(page, 4096, PROT_READ | PROT_WRITE);
  };
  EXPECT_THROW((void)pool.apply(write, numbers), CrashError);
  EXPECT_EQ(pool.apply(unlock, numbers), -1);
  EXPECT_EQ(numbers[3], 3);
}

TEST_F(BroadcastTest, IsThereForWorkersThatComeLater) {
  Pool pool(2);
  const auto numbers = numbers_to(100);
  for (int death = 0; death < 3; ++death) {
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_THAT(pool.map(partial(sum_of, numbers), test::numbers(0, 10)), Each(4950));
  }
}

// A copy, be it in the memory of a worker or in another memfd, would count beside the original.
TEST_F(BroadcastTest, IsMappedByWorkersAndNotCopied) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers keep notes on memory beside it";
  constexpr std::size_t kCount = std::size_t{4} << 20;  // 32 MiB
  Pool pool(3);
  const std::uint64_t before = pool.apply([] { return rss_kib(); });
  const auto numbers = numbers_to(kCount);
  const auto touch_all = [](const Broadcast<std::int64_t[]>& all, int) {
    const std::int64_t sum = sum_of(all, 0);
    return std::pair(sum, rss_kib());
  };
  for (const auto& [sum, kib] : pool.map(partial(touch_all, numbers), test::numbers(0, 30))) {
    EXPECT_EQ(sum, static_cast<std::int64_t>(kCount * (kCount - 1) / 2));
    EXPECT_GE(kib, 32U * 1024);
    EXPECT_LT(kib, before + 48U * 1024);
  }
}

TEST_F(BroadcastTest, WorkersKeepItWhileItLivesAndLetGoOfItThen) {
  constexpr std::size_t kBytes = std::size_t{3} << 20;
  Pool pool(1);
  const auto mappings = [] { return mappings_of(kBytes); };
  std::optional numbers = numbers_to(kBytes / 8);
  EXPECT_EQ(pool.apply(mappings), 0);
  (void)pool.apply(sum_of, *numbers, 0);
  EXPECT_EQ(pool.apply(mappings), 1) << "unmapped although it may be used again";
  (void)pool.apply(sum_of, *numbers, 0);
  EXPECT_EQ(pool.apply(mappings), 1);
  numbers.reset();
  EXPECT_EQ(mappings_of(kBytes), 0);
  EXPECT_EQ(pool.apply([] { return mappings_of(kBytes); }), 0)
      << "a new callable is a reason to look";
}

TEST_F(BroadcastTest, ThatIsGoneFailsTheTaskAndSaysSo) {
  Pool pool(1);
  std::vector<Broadcast<std::int64_t[]>> handles{numbers_to(10)};
  const detail::BroadcastTicket ticket = detail::BroadcastAccess::ticket(handles[0]);
  handles.clear();
  const auto find = [](const detail::BroadcastTicket& t) { (void)detail::find_broadcast(t); };
  try {
    pool.apply(find, ticket);
    FAIL() << "it was found";
  } catch (const RemoteError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no handle of it is left"));
  }
}

// What a task lends is not there any more when it is wanted: the task has not been answered.
TEST_F(BroadcastTest, ThatItsWorkerDoesNotHoldAnyMoreIsTheEndOfItsTaskAsADeathWouldBe) {
  const auto lend = [](int x) {
    const auto made = numbers_to(10);
    if (x == 1) {
      for (int fd = 3; fd < 1000; ++fd) ::close(fd);
    }
    return made;
  };
  Pool pool(1);
  const auto outcomes = pool.try_map(lend, {0, 1, 2});
  ASSERT_TRUE(outcomes.at(0));
  ASSERT_FALSE(outcomes.at(1));
  ASSERT_TRUE(outcomes.at(2));
  EXPECT_EQ(outcomes[1].failure().kind(), FailureKind::crashed);
  EXPECT_THAT(outcomes[1].failure().what(), HasSubstr("does not hold the Broadcast any more"));
  EXPECT_EQ((*outcomes[2])[9], 9);
}

TEST_F(BroadcastTest, ComesBackFromATaskAsTheSameMemory) {
  Pool pool(1);
  const auto numbers = numbers_to(10);
  const auto same = [](const Broadcast<std::int64_t[]>& all) { return all; };
  EXPECT_EQ(pool.apply(same, numbers)[9], 9);
}

/// `count` times x, made in the task.
Broadcast<int[]> filled_with(int x) {
  return broadcast<int[]>(300'000,
                          [x](std::span<int> all) { std::fill(all.begin(), all.end(), x); });
}

bool is_filled_with(int x, const Broadcast<int[]>& all) {
  return all.size() == 300'000 &&
         std::all_of(all.begin(), all.end(), [x](int y) { return x == y; });
}

TEST_F(BroadcastTest, OfATaskIsAResultThatIsNotCopied) {
  Pool pool(2);
  const auto results = pool.map(filled_with, test::numbers(0, 50));
  for (int x = 0; x < 50; ++x) EXPECT_TRUE(is_filled_with(x, results[static_cast<std::size_t>(x)]));
  EXPECT_EQ(pool.apply([] { return mappings_of(300'000 * sizeof(int)); }), 0) << "kept by a worker";
}

TEST_F(BroadcastTest, OfATaskOutlivesTheWorker) {
  Pool pool(2);
  const auto fill_or_die = [](int x) {
    return x % 2 == 0 ? filled_with(x) : (test::kills_itself(x), Broadcast<int[]>());
  };
  const auto results = pool.try_map(fill_or_die, test::numbers(0, 40));
  for (int x = 0; x < 40; ++x) {
    const auto& result = results[static_cast<std::size_t>(x)];
    EXPECT_EQ(result.has_value(), x % 2 == 0) << x;
    EXPECT_TRUE(!result || is_filled_with(x, *result)) << x;
  }
}

TEST_F(BroadcastTest, OfATaskGoesOnToOtherTasks) {
  Pool pool(2);
  const Broadcast<int[]> made = pool.apply(filled_with, 7);
  EXPECT_THAT(
      pool.map(
          partial([](const Broadcast<int[]>& all, int x) { return is_filled_with(x, all); }, made),
          std::vector{7, 8}),
      ElementsAre(true, false));
}

// Law: a worker is not believed. What it says is looked at before it is used.
TEST_F(BroadcastTest, ThatATaskMakesUpIsRefused) {
  Pool pool(1);
  const auto forge = [](pid_t host) {
    std::vector<detail::BroadcastTicket> tickets;
    for (int fd = 0; fd < 50; ++fd) tickets.push_back({host, fd, 1, 100});
    for (int fd = 0; fd < 50; ++fd) tickets.push_back({::getpid(), fd, 1, 100});
    tickets.push_back({1, 0, 1, 100});
    return tickets;
  };
  for (const detail::BroadcastTicket& ticket : pool.apply(forge, ::getpid())) {
    EXPECT_THROW((void)detail::find_broadcast(ticket), DecodeError) << ticket.fd;
  }
}

/// A descriptor of a pipe, of a memory that can be resized, of one that can be written to.
detail::BroadcastTicket ticket_for(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return {static_cast<std::int32_t>(::getpid()), fd, status.st_ino, 4096};
}

TEST_F(BroadcastTest, ThatATaskCouldStillChangeIsRefused) {
  Pool pool(1);
  const auto open_memory = [](int seals) {
    const int fd = ::memfd_create("bulkhead", MFD_ALLOW_SEALING);
    EXPECT_EQ(::ftruncate(fd, 8192), 0);
    EXPECT_EQ(::fcntl(fd, F_ADD_SEALS, seals), 0);
    return ticket_for(fd);
  };
  const auto open_pipe = [] {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    return ticket_for(ends[0]);
  };
  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW}) {
    EXPECT_THROW((void)detail::find_broadcast(pool.apply(open_memory, seals)), DecodeError)
        << seals;
  }
  EXPECT_THROW((void)detail::find_broadcast(pool.apply(open_pipe)), DecodeError);
  const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const auto open_small = [](int seals) {
    const int fd = ::memfd_create("bulkhead", MFD_ALLOW_SEALING);
    EXPECT_EQ(::ftruncate(fd, 104), 0);
    EXPECT_EQ(::fcntl(fd, F_ADD_SEALS, seals), 0);
    detail::BroadcastTicket ticket = ticket_for(fd);
    ticket.bytes = std::uint64_t{104} - 4096;
    return ticket;
  };
  EXPECT_THROW((void)detail::find_broadcast(pool.apply(open_small, all)), DecodeError);
  EXPECT_EQ(detail::find_broadcast(pool.apply(open_memory, all))->bytes.size(), 4096U);
}

TEST_F(BroadcastTest, IsSeenByForkMapToo) {
  const auto numbers = numbers_to(100);
  EXPECT_THAT(fork_map([&](int i) { return numbers[static_cast<std::size_t>(i)]; },
                       test::numbers(0, 3), Options{.workers = 2}),
              ElementsAre(0, 1, 2));
}

TEST_F(BroadcastTest, AboveTheLimitOnFileSizesIsAnErrorAndNoSignal) {
  test::in_fork([] {
    const rlimit limit{1 << 20, 1 << 20};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_THROW((void)broadcast(std::vector<char>(2 << 20)), SystemError);
  });
}

TEST_F(BroadcastTest, OfTasksForWhichThereAreNoDescriptorsSaysSo) {
  if (test::vptr_sanitizer()) GTEST_SKIP() << "the vptr sanitizer needs descriptors itself";
  test::in_fork([] {
    Pool pool(1);
    const rlimit limit{64, 64};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    const auto outcomes = pool.try_map(filled_with, test::numbers(0, 100));
    EXPECT_TRUE(outcomes.front());
    ASSERT_FALSE(outcomes.back());
    EXPECT_THAT(outcomes.back().failure().what(), HasSubstr("Too many open files"));
  });
}

TEST_F(BroadcastTest, WhoseFillingThrowsLeavesNothing) {
  EXPECT_THROW((void)broadcast<int[]>(1000, [](std::span<int>) { throw std::runtime_error("no"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace bulkhead
