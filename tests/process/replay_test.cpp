// SPDX-License-Identifier: MIT
//
// Failed tasks as files, and those files as tasks again.
#include "serialization/replay_record.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include "worker/module.hpp"
#include "worker/replay_file.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/replay.hpp>
#include <bulkhead/shared.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {

/// Can be encoded only so often in this process.
struct Perishable {
  static inline int left = 0;
};
template <>
struct Codec<Perishable> {
  static void encode(const Perishable&, ByteWriter& out) {
    if (Perishable::left-- == 0) throw std::length_error("has perished");
    out.put(std::uint8_t{1});
  }
  static Perishable decode(ByteReader& in) {
    (void)in.get<std::uint8_t>();
    return {};
  }
};

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

struct State {
  test::Tally runs;
  test::Tally begun;
};
const test::Shared<State> state;

class ReplayTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
    std::string name = testing::TempDir() + "bulkhead-replay-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    fs::remove_all(directory_);
    ProcessTest::TearDown();
  }

  [[nodiscard]] Options saving(int workers = 2) const {
    Options options;
    options.workers = workers;
    options.replay_dir = directory_;
    return options;
  }
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  /// The file of the only task of a call.
  template <class F, class... Args>
  std::string file_of_failed(Pool& pool, const F& f, const Args&... args) {
    try {
      (void)pool.apply(f, args...);
    } catch (const RemoteError& error) {
      EXPECT_THAT(error.failure().replay_file(), StartsWith(directory_.native() + "/"));
      return error.failure().replay_file();
    }
    ADD_FAILURE() << "the task did not fail";
    return "";
  }

  fs::path directory_;
};

/// Its data gets lost on the way through a worker's answer.
struct OwnError : std::runtime_error {
  explicit OwnError(int a_code) : std::runtime_error("own"), code(a_code) {}
  int code;
};

int fails_at_odd(int x) {
  state->runs.add();
  if (x % 2 == 1) throw OwnError(x);
  return x;
}

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

/// What E says of `file`.
template <class E>
std::string refusal(const std::string& file) {
  try {
    replay(file);
  } catch (const E& error) {
    EXPECT_THAT(error.what(), HasSubstr(file));
    return error.what();
  }
  ADD_FAILURE() << file << " was replayed";
  return "";
}

// ---------------------------------------------------------------------------------------------------
// Which files there are

TEST_F(ReplayTest, EachFailedTaskLeavesAFileThatItsFailureNames) {
  Pool pool(saving());
  const auto outcomes = pool.try_map(fails_at_odd, test::numbers(0, 5));
  EXPECT_THAT(files(), UnorderedElementsAre("1-1.bulkhead", "1-3.bulkhead"));
  const Failure& failure = outcomes.at(3).failure();
  EXPECT_EQ(failure.replay_file(), directory_ / "1-3.bulkhead");
  EXPECT_THAT(failure.what(), EndsWith("; saved as " + failure.replay_file()));
  struct stat status {};
  ASSERT_EQ(::stat(failure.replay_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(ReplayTest, NothingIsSavedUnlessAskedFor) {
  Pool pool(1);
  const auto outcomes = pool.try_map(fails_at_odd, {1});
  EXPECT_EQ(outcomes.at(0).failure().replay_file(), "");
  EXPECT_THAT(outcomes.at(0).failure().what(), ::testing::Not(HasSubstr("saved")));
}

TEST_F(ReplayTest, EveryKindOfFailureLeavesAFileButCancellation) {
  Pool pool(saving(1));
  const auto fail = [](int x) {
    if (x == 0) ::raise(SIGKILL);
    if (x == 1) ::_exit(0);
    if (x == 2) throw std::bad_alloc();
    for (;;) ::pause();
  };
  const auto outcomes = pool.try_map(fail, test::numbers(0, 4), CallOptions{.timeout = 1s});
  for (const auto& outcome : outcomes) {
    EXPECT_TRUE(fs::exists(outcome.failure().replay_file())) << outcome.failure().what();
  }
  EXPECT_EQ(outcomes.at(3).failure().kind(), FailureKind::timed_out);
  std::stop_source stop;
  stop.request_stop();
  const auto cancelled = pool.try_map(fails_at_odd, {1}, CallOptions{.stop = stop.get_token()});
  EXPECT_EQ(cancelled.at(0).failure().replay_file(), "");
  EXPECT_THAT(files(), SizeIs(4));
}

TEST_F(ReplayTest, OnlyFailuresForGoodAreSaved) {
  Pool pool(saving());
  const auto fail_at_first = [](int x) {
    if (this_task::attempt() <= x) throw std::out_of_range("not yet");
    return x;
  };
  const CallOptions options{.retries = {.exceptions = 1}};
  const auto outcomes = pool.try_map(fail_at_first, {0, 1, 2}, options);
  EXPECT_TRUE(outcomes.at(1));
  EXPECT_THAT(files(), UnorderedElementsAre("1-2.bulkhead"));
  const Failure& failure = outcomes.at(2).failure();
  EXPECT_EQ(failure.earlier().at(0).replay_file(), "");
  // Its second attempt failed, and so it does again.
  EXPECT_THROW(replay(failure.replay_file()), std::out_of_range);
}

TEST_F(ReplayTest, CallsPoolsAndEarlierRunsKeepTheirFiles) {
  write_bytes(directory_ / "41-0.bulkhead", "of an earlier run");
  for (const char* other : {"x", "99", "99-1.txt", "-5.bulkhead", "1e3-0.bulkhead"}) {
    write_bytes(directory_ / other, "not of a pool");
  }
  Pool one(saving(1));
  Pool two(saving(1));
  EXPECT_THAT(file_of_failed(one, fails_at_odd, 1), EndsWith("/42-0.bulkhead"));
  EXPECT_THAT(file_of_failed(two, fails_at_odd, 1), EndsWith("/43-0.bulkhead"));
  (void)one.map(fails_at_odd, {2, 4});
  EXPECT_THAT(file_of_failed(one, fails_at_odd, 1), EndsWith("/44-0.bulkhead"));
  EXPECT_EQ(bytes_of(directory_ / "41-0.bulkhead"), "of an earlier run");
}

TEST_F(ReplayTest, AFileOfANumberThatNoCallHasIsNotCounted) {
  write_bytes(directory_ / "18446744073709551615-1.bulkhead", "");
  Pool pool(saving(1));
  EXPECT_THAT(file_of_failed(pool, fails_at_odd, 1), EndsWith("/1-0.bulkhead"));
}

TEST_F(ReplayTest, OfOneCallNoMoreThanAHundredAreSaved) {
  std::ostringstream text;
  Options options = saving();
  options.logger = std::make_shared<spdlog::logger>(
      "pool", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
  Pool pool(options);
  const auto outcomes = pool.try_map([](int) { throw OwnError(1); }, test::numbers(0, 150));
  EXPECT_THAT(files(), SizeIs(100));
  EXPECT_EQ(std::count_if(outcomes.begin(), outcomes.end(),
                          [](const auto& o) { return !o.failure().replay_file().empty(); }),
            100);
  EXPECT_THAT(text.str(), HasSubstr("BULKHEAD_REPLAY=" + directory_.native() + "/1-"));
  EXPECT_THAT(text.str(), HasSubstr("100 tasks of the call have been saved"));
}

// ---------------------------------------------------------------------------------------------------
// Running them again

TEST_F(ReplayTest, TheTaskRunsHereAndThrowsWhatItThrew) {
  Pool pool(saving());
  const std::string file = file_of_failed(pool, fails_at_odd, 17);
  pool.terminate();
  state.reset();
  try {
    replay(file);
    FAIL() << "nothing was thrown";
  } catch (const OwnError& error) {
    EXPECT_EQ(error.code, 17) << "not even its data is lost";
  }
  EXPECT_EQ(state->runs.value(), 1U);
}

struct Adder {
  int more = 0;
  int operator()(int x) {
    if (x + more == 42) throw OwnError(42);
    return more += x;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(more);
  }
};

int add(int a, int b) {
  throw OwnError(a + b);
}

std::size_t refuse(const std::vector<std::uint32_t>& numbers, const std::string& text) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] != i) return 0;
  }
  throw OwnError(static_cast<int>(numbers.size() + text.size()));
}

TEST_F(ReplayTest, StateAndArgumentsOfAnySizeAreSaved) {
  Pool pool(saving());
  const auto code_of = [](const std::string& file) {
    try {
      replay(file);
    } catch (const OwnError& error) {
      return error.code;
    }
    return -1;
  };
  EXPECT_EQ(code_of(file_of_failed(pool, Adder{40}, 2)), 42);
  EXPECT_EQ(code_of(file_of_failed(pool, partial(add, 30), 5)), 35);
  EXPECT_EQ(code_of(file_of_failed(pool, add, 1, 2)), 3);
  EXPECT_EQ(code_of(file_of_failed(pool, refuse, test::numbers(0U, 1'000'000U), "abc")), 1'000'003);
  EXPECT_EQ(code_of(file_of_failed(pool, [] { throw OwnError(9); })), 9);
}

TEST_F(ReplayTest, ATaskThatReturnsThisTimeIsFine) {
  Pool pool(saving());
  const auto fail_in_workers = [](int owner) {
    if (::getpid() != owner) throw std::out_of_range("only here");
    return std::vector<int>{owner};
  };
  const std::string file = file_of_failed(pool, fail_in_workers, static_cast<int>(::getpid()));
  EXPECT_NO_THROW(replay(file));
}

TEST_F(ReplayTest, ACrashIsOnesOwn) {
  Pool pool(saving());
  const std::string file = file_of_failed(pool, test::kills_itself, 3);
  test::Fork fork([&file] { replay(file); });
  const int status = fork.wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_F(ReplayTest, FailuresOfInlineTasksAreSavedToo) {
  Options options = saving();
  options.inline_execution = true;
  Pool pool(options);
  EXPECT_THROW(replay(file_of_failed(pool, fails_at_odd, 5)), OwnError);
}

TEST_F(ReplayTest, ABroadcastIsGoneWithItsProcess) {
  std::string file;
  test::in_fork([&] {
    Pool pool(saving(1));
    const auto sum = [](std::span<const int> all, int x) -> int { throw OwnError(all.back() + x); };
    EXPECT_THAT(file_of_failed(pool, partial(sum, broadcast(std::vector{1, 2})), 1),
                EndsWith("/1-0.bulkhead"));
  });
  EXPECT_THROW(replay(directory_ / "1-0.bulkhead"), DecodeError);
}

// ---------------------------------------------------------------------------------------------------
// The variable BULKHEAD_REPLAY

int makes_a_pool(int x) {
  if (x != Pool(1).apply([](int y) { return y; }, x)) return 0;
  throw std::out_of_range("with a pool of its own");
}

constexpr const char* kReplayDir = "BULKHEAD_TEST_REPLAY_DIR";

/// Has nothing to clean up: the program ends where the pool is made.
using ReplayedProgramTest = test::ProcessTest;

/// An ordinary test, and the program that the next ones run with the variable set.
TEST_F(ReplayedProgramTest, MakesAPool) {
  Options options{.workers = 1, .initializer = [] { state->begun.add(); }};
  if (const char* replay_dir = ::getenv(kReplayDir)) options.replay_dir = replay_dir;
  Pool pool(options);
  EXPECT_EQ(pool.apply([](int x) { return x; }, 1), 1);
}

struct End {
  int status = 0;
  std::string text;  ///< on its standard error
};

/// This program anew, with BULKHEAD_REPLAY=`file`; its pool saves in `replay_dir`.
End run_program(const fs::path& directory, const std::string& file,
                const std::string& replay_dir = "") {
  const std::string log = directory / "stderr";
  test::Fork fork([&] {
    ::setenv("BULKHEAD_REPLAY", file.c_str(), 1);
    ::setenv(kReplayDir, replay_dir.c_str(), 1);
    if (std::freopen(log.c_str(), "w", stderr) == nullptr) ::_exit(99);
    ::execl("/proc/self/exe", "process_test", "--gtest_filter=ReplayedProgramTest.MakesAPool",
            "--gtest_print_time=0", nullptr);
    ::_exit(98);
  });
  End end{fork.wait(), bytes_of(log)};
  EXPECT_TRUE(WIFEXITED(end.status)) << end.text;
  return end;
}

TEST_F(ReplayTest, TheProgramRunsTheTaskInsteadOfItsFirstPoolAndEnds) {
  Pool pool(saving(1));
  const End threw = run_program(directory_, file_of_failed(pool, makes_a_pool, 7));
  EXPECT_EQ(WEXITSTATUS(threw.status), 1);
  EXPECT_THAT(threw.text, HasSubstr("task 0 threw std::out_of_range: with a pool of its own"));
  EXPECT_THAT(threw.text, HasSubstr("this time it threw std::out_of_range: with a pool"));

  const auto fail_in_children = [](int owner) {
    if (::getppid() != owner) throw std::out_of_range("not in a worker");
  };
  const std::string file = file_of_failed(pool, fail_in_children, static_cast<int>(::getpid()));
  const End returned = run_program(directory_, file);
  EXPECT_EQ(WEXITSTATUS(returned.status), 0) << returned.text;
  EXPECT_THAT(returned.text, HasSubstr("this time it returned"));
}

// The directory of a pool may be relative, and the program run elsewhere.
TEST_F(ReplayTest, TheProgramRunsTheTaskThoughThePoolsOwnDirectoryIsNotThere) {
  Pool pool(saving(1));
  const End threw =
      run_program(directory_, file_of_failed(pool, makes_a_pool, 7), directory_ / "gone");
  EXPECT_EQ(WEXITSTATUS(threw.status), 1) << threw.text;
}

TEST_F(ReplayTest, TheInitializerOfThePoolRunsFirst) {
  const auto needs_initializer = [] {
    if (state->begun.value() == 0) throw std::out_of_range("not initialized");
    throw std::domain_error("initialized");
  };
  Pool pool(saving(1));
  const End end = run_program(directory_, file_of_failed(pool, needs_initializer));
  EXPECT_THAT(end.text, HasSubstr("this time it threw std::domain_error: initialized"));
}

TEST_F(ReplayTest, ATaskWhoseSharedStateIsGoneIsNotSaidToHaveThrownAgain) {
  test::in_fork([&] {
    Pool pool(saving(1));
    const auto fail = [](const Shared<int>&, int) -> int { throw OwnError(1); };
    (void)file_of_failed(pool, partial(fail, Shared<int>(0)), 1);
  });
  const End end = run_program(directory_, directory_ / "1-0.bulkhead");
  EXPECT_EQ(WEXITSTATUS(end.status), 2);
  EXPECT_THAT(end.text, HasSubstr("cannot be replayed: shared state cannot be used here"));
}

TEST_F(ReplayTest, AFileThatCannotBeUsedEndsTheProgramWithTheReason) {
  const End missing = run_program(directory_, directory_ / "none");
  EXPECT_EQ(WEXITSTATUS(missing.status), 2);
  EXPECT_THAT(missing.text, HasSubstr("/none\": No such file or directory"));
  write_bytes(directory_ / "text", "Dear diary");
  const End wrong = run_program(directory_, directory_ / "text");
  EXPECT_EQ(WEXITSTATUS(wrong.status), 2);
  EXPECT_THAT(wrong.text, HasSubstr("it is no file of a failed task"));
}

// ---------------------------------------------------------------------------------------------------
// Bad input

TEST_F(ReplayTest, AFileThatIsMissingOrNoFileIsRefused) {
  EXPECT_THAT(refusal<SystemError>(directory_ / "none"), HasSubstr("No such file"));
  EXPECT_THAT(refusal<SystemError>(directory_), HasSubstr("Is a directory"));
  EXPECT_THAT(refusal<SystemError>("/dev/null"), HasSubstr("Invalid argument"));
  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(refusal<SystemError>(pipe), HasSubstr("Invalid argument"));
}

TEST_F(ReplayTest, ADamagedFileIsRefused) {
  Pool pool(saving());
  const std::string file = file_of_failed(pool, fails_at_odd, 1);
  const std::string whole = bytes_of(file);
  state.reset();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(file, whole.substr(0, size));
    EXPECT_THAT(refusal<InvalidArgument>(file), HasSubstr("cannot be replayed: it is"));
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_bytes(file, damaged);
    EXPECT_THAT(refusal<InvalidArgument>(file), HasSubstr("cannot be replayed: it is"));
  }
  EXPECT_EQ(state->runs.value(), 0U);
  write_bytes(file, whole);
  EXPECT_THROW(replay(file), OwnError);
}

/// The file, with `change` made to its record, as a program would have written it.
template <class Change>
std::string altered(const std::string& file, Change change) {
  const std::string bytes = bytes_of(file);
  detail::ReplayRecord record = detail::read_replay(std::as_bytes(std::span(bytes)));
  change(record);
  const std::string to = file + ".altered";
  fs::remove(to);
  detail::ReplayFileWriter out(to, detail::kMostReplayBytes);
  detail::write_replay_head(record, out);
  out.write(record.argument.data(), record.argument.size());
  out.finish();
  return to;
}

TEST_F(ReplayTest, AFileOfAnotherBuildIsRefused) {
  Pool pool(saving());
  const std::string file = file_of_failed(pool, fails_at_odd, 1);
  EXPECT_THROW(replay(altered(file, [](auto&) {})), OwnError) << "the same build";
  for (const std::size_t token : {0U, 1U}) {
    const std::string other = altered(file, [token](detail::ReplayRecord& record) {
      record.definition.at(token * sizeof(detail::ModuleToken)) ^= std::byte{1};
      record.program = "/opt/elsewhere/program";
    });
    const std::string text = refusal<InvalidArgument>(other);
    EXPECT_THAT(text, HasSubstr("of another build"));
    EXPECT_THAT(text, HasSubstr("/opt/elsewhere/program"));
  }
}

TEST_F(ReplayTest, BytesThatAreNotTheArgumentAreRefusedByTheCodec) {
  Pool pool(saving());
  const std::string file = file_of_failed(pool, fails_at_odd, 1);
  const auto with_argument = [&](std::size_t bytes) {
    return altered(file, [=](detail::ReplayRecord& record) { record.argument.resize(bytes); });
  };
  EXPECT_THROW(replay(with_argument(0)), DecodeError);
  EXPECT_THROW(replay(with_argument(100)), DecodeError);
  EXPECT_THROW(
      replay(altered(file, [](detail::ReplayRecord& record) { record.definition.resize(20); })),
      InvalidArgument);
}

// ---------------------------------------------------------------------------------------------------
// Where files cannot be written

std::string complaint_about(const std::string& directory) {
  try {
    Pool pool(Options{.workers = 1, .replay_dir = directory});
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST_F(ReplayTest, ADirectoryThatCannotBeUsedIsRefusedByThePool) {
  EXPECT_THAT(complaint_about(directory_ / "none"), HasSubstr("/none\", which cannot be used: No"));
  write_bytes(directory_ / "file", "");
  EXPECT_THAT(complaint_about(directory_ / "file"), HasSubstr("/file\", which is not a directory"));
  fs::permissions(directory_, fs::perms::owner_read | fs::perms::owner_exec |
                                  fs::perms::others_read | fs::perms::others_exec);
  test::in_fork([this] {
    if (::geteuid() == 0) {
      ASSERT_EQ(::seteuid(65534), 0);
    }
    EXPECT_THAT(complaint_about(directory_), HasSubstr("which cannot be used: Permission denied"));
  });
  fs::permissions(directory_, fs::perms::owner_all);
}

TEST_F(ReplayTest, ARelativeDirectoryIsThatOfThePoolsBeginning) {
  test::in_fork([this] {
    ASSERT_EQ(::chdir(directory_.parent_path().c_str()), 0);
    Options options = saving(1);
    options.replay_dir = directory_.filename();
    Pool pool(options);
    ASSERT_EQ(::chdir("/"), 0);
    EXPECT_TRUE(fs::equivalent(file_of_failed(pool, fails_at_odd, 1), directory_ / "1-0.bulkhead"));
  });
}

/// Fails one task of a pool after `spoil`; what the logger is told.
template <class Spoil, class Argument>
std::string told_after(const Options& options, Spoil spoil, const Argument& argument) {
  std::ostringstream text;
  Options logged = options;
  logged.logger = std::make_shared<spdlog::logger>(
      "pool", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
  Pool pool(logged);
  spoil();
  const auto fail = [](const Argument&) { throw OwnError(1); };
  const auto outcomes = pool.try_map(fail, std::vector<Argument>{argument});
  EXPECT_EQ(outcomes.at(0).failure().type_name(), "bulkhead::(anonymous namespace)::OwnError");
  EXPECT_EQ(outcomes.at(0).failure().replay_file(), "");
  return text.str();
}

TEST_F(ReplayTest, AFailureSaysWhyItWasNotSaved) {
  Options options = saving();
  options.replay_dir = "/proc";  // of which nobody knows beforehand that no file can be made there
  Pool pool(options);
  const auto outcomes = pool.try_map([](int x) { throw OwnError(x); }, {1});
  EXPECT_THAT(outcomes.at(0).failure().what(), HasSubstr("; not saved: bulkhead: cannot make"));
}

TEST_F(ReplayTest, WhatCannotBeSavedFailsAllTheSame) {
  EXPECT_THAT(told_after(
                  saving(), [this] { fs::remove_all(directory_); }, 1),
              HasSubstr("nor will others of the call: bulkhead: cannot read"));
  fs::create_directory(directory_);
  Options options = saving();
  options.inline_execution = true;  // so that the argument is encoded once before
  EXPECT_THAT(told_after(
                  options, [] { Perishable::left = 1; }, Perishable{}),
              HasSubstr("could not be saved: has perished"));
  EXPECT_THAT(files(), IsEmpty());
}

// The kernel would end the host by a signal.
TEST_F(ReplayTest, TheLimitOnFileSizesIsRespected) {
  const auto limit_files = [] {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 100'000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  };
  test::in_fork([&] {
    EXPECT_THAT(told_after(saving(), limit_files, std::vector<char>(200'000)),
                HasSubstr("nor will others of the call: bulkhead: cannot write"));
  });
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(ReplayTest, ForkMapHasNothingToSave) {
  EXPECT_THROW((void)fork_map([](int x) { return x; }, std::vector{1}, saving()), InvalidArgument);
  EXPECT_THROW((void)try_fork_map([](int x) { return x; }, std::vector{1}, saving()),
               InvalidArgument);
}

}  // namespace
}  // namespace bulkhead
