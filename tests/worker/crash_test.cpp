// SPDX-License-Identifier: MIT
//
// What a worker leaves behind when it dies, and that nothing it may scribble there can harm the
// reader. Each test forks a child that crashes on purpose and reaps exactly that child.
#undef NDEBUG  // one test is about a failed assert
#include "worker/crash.hpp"

#include "worker/module.hpp"
#include "worker/sanitizers.hpp"

#include <algorithm>
#include <array>
#include <barrier>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <iostream>
#include <link.h>
#include <random>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

// The victims are meant to be faulty: no sanitizer may speak before the processor does.
#define BULKHEAD_VICTIM __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

namespace bulkhead::detail {
namespace {

/// A crash page between two pages that fault, shared with the children of this process.
class SharedPage {
 public:
  SharedPage()
      : guard_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
        memory_(static_cast<std::byte*>(
            ::mmap(nullptr, 2 * guard_ + used(), PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    EXPECT_EQ(::mprotect(memory_ + guard_, used(), PROT_READ | PROT_WRITE), 0);
  }
  ~SharedPage() { ::munmap(memory_, 2 * guard_ + used()); }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;

  /// Ends exactly where the second guard begins.
  std::byte* data() const { return memory_ + guard_ + used() - kCrashPageBytes; }

 private:
  std::size_t used() const { return (kCrashPageBytes + guard_ - 1) / guard_ * guard_; }

  std::size_t guard_;
  std::byte* memory_;
};

struct Death {
  int signal = 0;  // 0: the child ended otherwise
  std::optional<CrashReport> report;
};

template <class Crash>
Death death_by(const SharedPage& page, Crash crash) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    install_crash_handlers(page.data());
    crash();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFSIGNALED(status) ? WTERMSIG(status) : 0, read_crash_report(page.data())};
}

template <class Crash>
Death death_by(Crash crash) {
  const SharedPage page;
  return death_by(page, crash);
}

template <class Function>
bool is_inside(const CrashFrame& frame, Function* function) {
  return frame.address - reinterpret_cast<std::uintptr_t>(function) < 1024;
}

template <class Function>
bool mentions(const CrashReport& report, Function* function) {
  return std::any_of(report.frames.begin(), report.frames.end(),
                     [function](const CrashFrame& frame) { return is_inside(frame, function); });
}

BULKHEAD_VICTIM void write_to(std::uintptr_t address) {
  *reinterpret_cast<volatile int*>(address) = 1;
}

BULKHEAD_VICTIM void call(std::uintptr_t address) {
  reinterpret_cast<void (*)()>(address)();
  asm volatile("");  // keeps the call from becoming a jump
}

BULKHEAD_VICTIM int overflow_stack(volatile int* depth) {
  volatile char waste[4096];
  waste[0] = static_cast<char>(*depth);
  *depth = *depth + 1;
  const int below = *depth < 0 ? 0 : overflow_stack(depth);
  return below + waste[0];
}

BULKHEAD_VICTIM void divide_by_zero() {
  volatile int number = 1;
  const volatile int zero = 0;
  number = number / zero;
}

/// Overwrites the return addresses of its callers, then faults.
BULKHEAD_VICTIM void smash_stack_and_crash() {
  auto* frame = static_cast<volatile char*>(__builtin_frame_address(0));
  for (int i = 0; i < 256; ++i) frame[i] = static_cast<char>(0xa5);
  write_to(8);
}

BULKHEAD_VICTIM void abort_here() {
  std::abort();
}

template <class Exception>
BULKHEAD_VICTIM void throw_copy(const Exception& exception) {
  throw exception;
}

template <class Exception>
BULKHEAD_VICTIM void throw_out_of_noexcept(const Exception& exception) noexcept {
  throw_copy(exception);
  asm volatile("");
}

struct FaultyException : std::exception {
  const char* what() const noexcept override {
    write_to(16);
    return "";
  }
};

TEST(CrashReport, NamesTheFaultAddressOfANullDereference) {
  const Death death = death_by([] { write_to(0); });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->signal, SIGSEGV);
  EXPECT_EQ(death.report->code, SEGV_MAPERR);
  EXPECT_TRUE(death.report->has_fault_address);
  EXPECT_EQ(death.report->fault_address, 0U);
  EXPECT_EQ(death.report->message, "");
}

TEST(CrashReport, BeginsAtTheFaultingInstruction) {
  const Death death = death_by([] { write_to(64); });
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->fault_address, 64U);
  ASSERT_GE(death.report->frames.size(), 2U);
  EXPECT_TRUE(is_inside(death.report->frames[0], &write_to));
  EXPECT_FALSE(is_inside(death.report->frames[1], &write_to));
}

TEST(CrashReport, TellsTheModuleOfAFrame) {
  const Death death = death_by([] { write_to(0); });
  ASSERT_TRUE(death.report);
  ASSERT_FALSE(death.report->frames.empty());
  if (!find_loaded(reinterpret_cast<std::uintptr_t>(&write_to))) {
    GTEST_SKIP() << "no _dl_find_object in this C library";
  }
  const ModuleMap map = ModuleMap::snapshot();
  const Module& program = map.modules().front();
  EXPECT_EQ(death.report->frames[0].module, program.path);
  EXPECT_EQ(death.report->frames[0].module_base, program.base);
  EXPECT_EQ(death.report->frames[0].build_id, program.build_id);
}

TEST(CrashReport, SurvivesAStackOverflow) {
  if (kThreadSanitizer) GTEST_SKIP() << "the sanitizer faults on that stack too, holding locks";
  const Death death = death_by([] {
    volatile int depth = 0;
    overflow_stack(&depth);
  });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_TRUE(death.report->has_fault_address);
  EXPECT_EQ(death.report->frames.size(), 64U);
  EXPECT_TRUE(is_inside(death.report->frames.front(), &overflow_stack));
  EXPECT_TRUE(is_inside(death.report->frames.back(), &overflow_stack));
}

TEST(CrashReport, TellsWhoCalledThroughANullPointer) {
  const Death death = death_by([] { call(0); });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  ASSERT_GE(death.report->frames.size(), 3U);
  EXPECT_EQ(death.report->frames[0].address, 0U);
  EXPECT_EQ(death.report->frames[0].module, "");
  EXPECT_TRUE(is_inside(death.report->frames[1], &call));
}

TEST(CrashReport, ClaimsNoFaultAddressWhereTheProcessorToldNone) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "about non-canonical addresses of x86-64";
#endif
  const Death death = death_by([] { write_to(0xdeadbeefdeadbeefU); });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_FALSE(death.report->has_fault_address);
  ASSERT_FALSE(death.report->frames.empty());
  EXPECT_TRUE(is_inside(death.report->frames[0], &write_to));
}

TEST(CrashReport, ReportsADivisionByZero) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "this processor divides by zero without a signal";
#endif
  const Death death = death_by([] { divide_by_zero(); });
  EXPECT_EQ(death.signal, SIGFPE);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->signal, SIGFPE);
  EXPECT_EQ(death.report->code, FPE_INTDIV);
  EXPECT_TRUE(is_inside(death.report->frames.at(0), &divide_by_zero));
}

TEST(CrashReport, ReportsAnAbortWithTheCallerOfAbortFirst) {
  const Death death = death_by([] { abort_here(); });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->signal, SIGABRT);
  EXPECT_FALSE(death.report->has_fault_address);
  EXPECT_TRUE(mentions(*death.report, &abort_here));
  // The thread sanitizer puts its own abort in front.
  if (kThreadSanitizer || !find_loaded(reinterpret_cast<std::uintptr_t>(&abort_here))) return;
  EXPECT_TRUE(is_inside(death.report->frames[0], &abort_here));
}

TEST(CrashReport, QuotesAFailedAssert) {
  if (::dlsym(RTLD_DEFAULT, "__abort_msg") == nullptr) {
    GTEST_SKIP() << "this C library keeps no abort message";
  }
  const Death death = death_by([] {
    ::close(STDERR_FILENO);
    const volatile int ships = 1;
    assert(ships > 2);
  });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_NE(death.report->message.find("Assertion `ships > 2' failed."), std::string::npos)
      << death.report->message;
}

TEST(CrashReport, DiesOfEachFatalSignalThatItReports) {
  for (const int signal :
       {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ}) {
    const Death death = death_by([signal] { ::raise(signal); });
    EXPECT_EQ(death.signal, signal);
    ASSERT_TRUE(death.report) << signal;
    EXPECT_EQ(death.report->signal, signal);
    EXPECT_FALSE(death.report->has_fault_address);
    EXPECT_FALSE(death.report->frames.empty());
  }
}

TEST(CrashReport, QuotesAnExceptionThatLeavesANoexceptFunction) {
  const Death death = death_by([] { throw_out_of_noexcept(std::runtime_error("no luck")); });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->signal, SIGABRT);
  EXPECT_EQ(death.report->message, "uncaught std::runtime_error: no luck");
  EXPECT_FALSE(death.report->frames.empty());
#if !defined(__clang__)  // whose __clang_call_terminate may lack the table to unwind through it
  EXPECT_TRUE(mentions(*death.report, &throw_out_of_noexcept<std::runtime_error>));
#endif
}

TEST(CrashReport, NamesTheTypeOfAnExceptionWithoutWhat) {
  const Death death = death_by([] { throw_out_of_noexcept(42); });
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->message, "uncaught int: 42");
}

TEST(CrashReport, ReportsTerminateInAnotherThread) {
  const Death death =
      death_by([] { std::thread([] { throw std::out_of_range("thread"); }).join(); });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->message, "uncaught std::out_of_range: thread");
}

TEST(CrashReport, ReportsTerminateWithoutAnException) {
  const Death death = death_by([] { std::terminate(); });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->message, "std::terminate without an active exception");
}

TEST(CrashReport, KeepsTheFirstCrashIfDescribingItCrashes) {
  const Death death = death_by([] { throw_out_of_noexcept(FaultyException()); });
  EXPECT_EQ(death.signal, SIGABRT);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->signal, SIGABRT);
  EXPECT_NE(death.report->message.find("FaultyException"), std::string::npos);
}

TEST(CrashReport, KeepsTheInnermostFrameOfASmashedStack) {
  const Death death = death_by([] { smash_stack_and_crash(); });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->fault_address, 8U);
  ASSERT_FALSE(death.report->frames.empty());
  EXPECT_TRUE(is_inside(death.report->frames[0], &write_to));
}

TEST(CrashReport, NeedsNoLockOfTheLoader) {
  const Death death = death_by([] {
    const auto crash_under_lock = [](dl_phdr_info*, std::size_t, void*) {
      write_to(0);
      return 0;
    };
    ::dl_iterate_phdr(crash_under_lock, nullptr);
  });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  ASSERT_GE(death.report->frames.size(), 3U);
  EXPECT_TRUE(is_inside(death.report->frames[0], &write_to));
}

TEST(CrashReport, ReportsACrashInAnotherThread) {
  const Death death = death_by([] { std::thread([] { write_to(32); }).join(); });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->fault_address, 32U);
  EXPECT_TRUE(is_inside(death.report->frames.at(0), &write_to));
}

TEST(CrashReport, HoldsOneCrashWhenManyThreadsCrashAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const Death death = death_by([] {
      constexpr std::uintptr_t kThreads = 8;
      std::barrier together(kThreads);
      std::array<std::thread, kThreads> threads;
      for (std::uintptr_t i = 0; i < kThreads; ++i) {
        threads[i] = std::thread([&together, i] {
          together.arrive_and_wait();
          write_to(i * 8);
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    EXPECT_EQ(death.signal, SIGSEGV);
    ASSERT_TRUE(death.report);
    EXPECT_LT(death.report->fault_address, 64U);
    EXPECT_TRUE(is_inside(death.report->frames.at(0), &write_to));
  }
}

TEST(CrashReport, IsNotWrittenByAProcessThatTheWorkerForked) {
  const Death death = death_by([] {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) write_to(0);
    int status = 0;
    ::waitpid(grandchild, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) ::raise(SIGTRAP);
  });
  EXPECT_EQ(death.signal, 0);
  EXPECT_FALSE(death.report);
}

TEST(CrashReport, IsAbsentIfTheWorkerWasKilledOrLeft) {
  const Death killed = death_by([] { ::raise(SIGKILL); });
  EXPECT_EQ(killed.signal, SIGKILL);
  EXPECT_FALSE(killed.report);
  EXPECT_FALSE(death_by([] { ::_exit(0); }).report);
  EXPECT_FALSE(read_crash_report(SharedPage().data()));
}

TEST(CrashReport, HoldsPrintableTextOnly) {
  const Death death = death_by([] {
    throw_out_of_noexcept(
        std::runtime_error("a\x1b[31m\nb\tc\x7f \xff\xc3 \xc3\xa9 \xe2\x82\xac "
                           "\xf0\x9f\x9a\xa2 \xc2\x9b \xed\xa0\x80 \xc0\xaf\n"));
  });
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->message,
            "uncaught std::runtime_error: a?[31m b c? ?? \xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa2 ?? "
            "??? ??");
}

TEST(CrashReport, CutsALongMessage) {
  const Death death =
      death_by([] { throw_out_of_noexcept(std::runtime_error(std::string(100'000, 'x'))); });
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->message.size(), 1024U);
}

TEST(CrashReport, IsWrittenAnewOverStrayBytes) {
  const SharedPage page;
  const Death death = death_by(page, [&page] {
    std::memset(page.data(), 0xff, kCrashPageBytes);
    write_to(24);
  });
  EXPECT_EQ(death.signal, SIGSEGV);
  ASSERT_TRUE(death.report);
  EXPECT_EQ(death.report->fault_address, 24U);
  EXPECT_TRUE(is_inside(death.report->frames.at(0), &write_to));
}

/// Reads the page and looks at every byte of what comes back.
std::size_t checked_size(const SharedPage& page) {
  const auto report = read_crash_report(page.data());
  if (!report) return 0;
  EXPECT_LE(report->frames.size(), 64U);
  EXPECT_LE(report->message.size(), kCrashPageBytes);
  std::string texts = report->message;
  for (const CrashFrame& frame : report->frames) {
    EXPECT_LE(frame.module.size(), kCrashPageBytes);
    texts += frame.module;
  }
  EXPECT_TRUE(std::none_of(texts.begin(), texts.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  }));
  return 1 + report->frames.size();
}

TEST(CrashReport, IsSafeToReadFromRandomBytes) {
  constexpr unsigned kSeed = 4211;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937_64 random(kSeed);
  const SharedPage page;
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t at = 0; at < kCrashPageBytes; at += sizeof(std::uint64_t)) {
      const std::uint64_t bits = random();
      std::memcpy(page.data() + at, &bits, sizeof bits);
    }
    EXPECT_EQ(checked_size(page), 0U);
  }
}

TEST(CrashReport, IsSafeToReadFromADamagedPage) {
  constexpr unsigned kSeed = 8128;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937 random(kSeed);
  const SharedPage page;
  ASSERT_TRUE(death_by(page, [] { throw_out_of_noexcept(std::runtime_error("whole")); }).report);
  std::array<std::byte, kCrashPageBytes> whole{};
  std::memcpy(whole.data(), page.data(), whole.size());
  std::size_t read = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::memcpy(page.data(), whole.data(), whole.size());
    // The counts and sizes lie in front; aim at them half of the time.
    for (unsigned damage = random() % 16; damage > 0; --damage) {
      const std::size_t reach = random() % 2 == 0 ? 64 : kCrashPageBytes;
      page.data()[random() % reach] = static_cast<std::byte>(random());
    }
    read += checked_size(page);
  }
  EXPECT_GT(read, 100'000U);
}

}  // namespace
}  // namespace bulkhead::detail
