// SPDX-License-Identifier: MIT
#include "runtime/post_mortem.hpp"

#include "worker/module.hpp"
#include "worker/serve.hpp"

#include <csignal>
#include <optional>
#include <string>
#include <sys/wait.h>

#include <gtest/gtest.h>

namespace bulkhead {

/// A function of the user's, in a module that this process has.
__attribute__((noinline)) int user_function(int x) {
  return x + 1;
}

namespace detail {

/// A function of the library's, above which a task stands on the stack.
__attribute__((noinline)) int library_function(int x) {
  return x + 2;
}

namespace {

ControlMessage exited(int code) {
  ControlMessage death;
  death.kind = ControlKind::died;
  death.pid = 812;
  death.code = CLD_EXITED;
  death.value = code;
  return death;
}

ControlMessage killed_by(int signal, int code = CLD_KILLED) {
  ControlMessage death = exited(signal);
  death.code = code;
  death.max_rss_kib = 100 * 1024 + 512;
  return death;
}

CrashReport report_of(int signal) {
  CrashReport report;
  report.signal = signal;
  return report;
}

template <class Function>
CrashFrame frame_in(Function* function) {
  const void* address = reinterpret_cast<const void*>(function);
  const ModuleMap map = ModuleMap::snapshot();
  const Module& module = *map.find(address);
  return {reinterpret_cast<std::uint64_t>(address), module.base, module.path, module.build_id};
}

CrashFrame unknown_frame(std::uint64_t offset) {
  return {0x10000 + offset, 0x10000, "/opt/lib/libfoo.so", 1};
}

TEST(SignalName, IsTheUsualOne) {
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
  EXPECT_EQ(signal_name(SIGXCPU), "SIGXCPU");
}

TEST(SignalName, IsANumberWhereThereIsNoName) {
  EXPECT_EQ(signal_name(70), "signal 70");
  EXPECT_EQ(signal_name(0), "signal 0");
  EXPECT_EQ(signal_name(-1), "signal -1");
}

TEST(CauseOfDeath, TellsTheExitCodeEvenIfItIsZero) {
  EXPECT_EQ(cause_of_death(exited(0), {}), "exited with code 0 before it answered");
  EXPECT_EQ(cause_of_death(exited(3), {}), "exited with code 3 before it answered");
}

TEST(CauseOfDeath, KnowsTheExitCodesOfTheLibrary) {
  EXPECT_EQ(cause_of_death(exited(kExitLostDoorbell), {}),
            "the worker found its descriptors closed, by a task, and left");
  EXPECT_EQ(cause_of_death(exited(kExitBadSetup), {}),
            "the worker could not set itself up (memory or descriptors exhausted?)");
  EXPECT_EQ(cause_of_death(exited(kExitBrokenInbox), {}),
            "the worker found its inbox damaged and left");
  EXPECT_EQ(cause_of_death(exited(kExitInitializer), {}), "the initializer threw");
}

TEST(CauseOfDeath, TellsNoMoreThanTheSignalWithoutAReport) {
  EXPECT_EQ(cause_of_death(killed_by(SIGSEGV), {}), "killed by SIGSEGV");
  EXPECT_EQ(cause_of_death(killed_by(SIGABRT, CLD_DUMPED), {}), "killed by SIGABRT");
}

TEST(CauseOfDeath, TellsThePeakOfAWorkerThatWasKilledFromOutside) {
  EXPECT_EQ(cause_of_death(killed_by(SIGKILL), {}),
            "killed by SIGKILL, by itself or another process or for want of memory; its peak was "
            "100 MiB");
}

TEST(CauseOfDeath, TellsTheAddressOfAFault) {
  CrashReport report = report_of(SIGSEGV);
  EXPECT_EQ(cause_of_death(killed_by(SIGSEGV), report), "SIGSEGV");
  report.has_fault_address = true;
  EXPECT_EQ(cause_of_death(killed_by(SIGSEGV), report), "SIGSEGV at address 0x0");
  report.fault_address = 0xdeadbeef;
  EXPECT_EQ(cause_of_death(killed_by(SIGSEGV), report), "SIGSEGV at address 0xdeadbeef");
}

TEST(CauseOfDeath, TellsTheLastWordsOfTheWorker) {
  CrashReport report = report_of(SIGABRT);
  report.message = "free(): invalid pointer";
  EXPECT_EQ(cause_of_death(killed_by(SIGABRT), report), "SIGABRT (free(): invalid pointer)");
}

TEST(CauseOfDeath, IsWhatTheKernelSaysIfTheReportDiffers) {
  CrashReport report = report_of(SIGSEGV);
  report.message = "not the last word";
  EXPECT_EQ(cause_of_death(killed_by(SIGBUS), report), "killed by SIGBUS");
  EXPECT_EQ(cause_of_death(exited(1), report), "exited with code 1 before it answered");
}

TEST(CrashDetails, OfAnExitHaveTheCode) {
  const FailureDetails details = crash_details(exited(3), {});
  EXPECT_EQ(details.kind, FailureKind::crashed);
  EXPECT_EQ(details.worker_pid, 812);
  EXPECT_EQ(details.exit_code, 3);
  EXPECT_EQ(details.signal, 0);
  EXPECT_EQ(details.message, "exited with code 3 before it answered");
}

TEST(CrashDetails, OfASignalHaveTheSignal) {
  const FailureDetails details = crash_details(killed_by(SIGSEGV), {});
  EXPECT_EQ(details.signal, SIGSEGV);
  EXPECT_EQ(details.exit_code, -1);
  EXPECT_EQ(details.message, "killed by SIGSEGV");
  EXPECT_TRUE(details.backtrace.empty());
}

TEST(CrashDetails, NameTheFunctionThatCrashed) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {frame_in(&user_function)};
  const FailureDetails details = crash_details(killed_by(SIGSEGV), report);
  EXPECT_EQ(details.message.rfind("SIGSEGV in bulkhead::user_function(int)", 0), 0U)
      << details.message;
  ASSERT_EQ(details.backtrace.size(), 1U);
  EXPECT_EQ("SIGSEGV in " + details.backtrace[0], details.message);
}

TEST(CrashDetails, PassOverFramesThatHaveNoName) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {unknown_frame(0x1234), frame_in(&user_function)};
  const FailureDetails details = crash_details(killed_by(SIGSEGV), report);
  EXPECT_NE(details.message.find(" in bulkhead::user_function"), std::string::npos);
  ASSERT_EQ(details.backtrace.size(), 2U);
  EXPECT_EQ(details.backtrace[0], "libfoo.so+0x1234");
}

TEST(CrashDetails, NameNoFunctionIfNoneIsKnown) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {unknown_frame(0x10), unknown_frame(0x20)};
  const FailureDetails details = crash_details(killed_by(SIGSEGV), report);
  EXPECT_EQ(details.message, "SIGSEGV");
  EXPECT_EQ(details.backtrace, (std::vector<std::string>{"libfoo.so+0x10", "libfoo.so+0x20"}));
}

TEST(CrashDetails, LeaveOutTheLibrarysOwnPartOfTheStack) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {frame_in(&user_function), frame_in(&library_function), unknown_frame(0x10)};
  const FailureDetails details = crash_details(killed_by(SIGSEGV), report);
  ASSERT_EQ(details.backtrace.size(), 1U);
  EXPECT_NE(details.backtrace[0].find("user_function"), std::string::npos);
}

TEST(CrashDetails, ShowTheLibrarysPartOfTheStackIfThereIsNoOther) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {frame_in(&library_function)};
  const FailureDetails details = crash_details(killed_by(SIGSEGV), report);
  ASSERT_EQ(details.backtrace.size(), 1U);
  EXPECT_NE(details.backtrace[0].find("library_function"), std::string::npos);
}

TEST(CrashDetails, BelieveNoStackOfAnotherSignal) {
  CrashReport report = report_of(SIGSEGV);
  report.frames = {frame_in(&user_function)};
  const FailureDetails details = crash_details(killed_by(SIGKILL), report);
  EXPECT_TRUE(details.backtrace.empty());
  EXPECT_EQ(details.message.find("user_function"), std::string::npos);
}

}  // namespace
}  // namespace detail
}  // namespace bulkhead
