// SPDX-License-Identifier: MIT
//
// Symbolizer: names what this process has loaded, and never what it only seems to have.
#include "worker/symbolize.hpp"

#include "worker/module.hpp"

#include <array>
#include <cerrno>
#include <dlfcn.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {

constexpr const char* kSmallLibrary = "libBrokenLocale.so.1";
constexpr const char* kSmallLibrarySymbol = "__ctype_get_mb_cur_max";
[[maybe_unused]] constexpr int kCrashLine = __LINE__ + 3;
__attribute__((always_inline, no_sanitize("address", "undefined"))) inline void inlined_part(
    std::uintptr_t address) {
  *reinterpret_cast<volatile int*>(address) = 1;
}

__attribute__((noinline, no_sanitize("address", "undefined"))) void outer_part(
    std::uintptr_t address) {
  inlined_part(address);
}

namespace {

// The C library's debug symbols, if installed, know the same function by other names.
bool is_libc_version(const SymbolizedFrame& frame) {
  return frame.function.find("gnu_get_libc_version") != std::string::npos;
}

CrashFrame frame_at(const void* address) {
  const ModuleMap map = ModuleMap::snapshot();
  CrashFrame frame;
  frame.address = reinterpret_cast<std::uintptr_t>(address);
  if (const Module* module = map.find(address)) {
    frame.module_base = module->base;
    frame.module = module->path;
    frame.build_id = module->build_id;
  }
  return frame;
}

CrashFrame libc_frame() {
  return frame_at(::dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
}

/// The report of a child that dereferences null in inlined_part.
CrashReport real_report() {
  void* page =
      ::mmap(nullptr, kCrashPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    install_crash_handlers(static_cast<std::byte*>(page));
    outer_part(0);
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  CrashReport report = read_crash_report(static_cast<std::byte*>(page)).value();
  ::munmap(page, kCrashPageBytes);
  return report;
}

TEST(FunctionName, IsShortWithoutTemplateArguments) {
  EXPECT_EQ(without_template_arguments("parse(Header const&)"), "parse(Header const&)");
  EXPECT_EQ(without_template_arguments("f<std::vector<int>, (E)1>(int)::g<a>"),
            "f<...>(int)::g<...>");
  EXPECT_EQ(without_template_arguments("operator()<A<B> >"), "operator()<...>");
  EXPECT_EQ(without_template_arguments("operator< <int>(A<int>)"), "operator< <...>(A<...>)");
  EXPECT_EQ(without_template_arguments("X::operator->() const"), "X::operator->() const");
  EXPECT_EQ(without_template_arguments("f<decltype(a->b)>(c)"), "f<...>(c)");
  EXPECT_EQ(without_template_arguments("operator<=>"), "operator<=>");
  EXPECT_EQ(without_template_arguments("f<unended"), "f<...");
  EXPECT_EQ(without_template_arguments("my_operator<int>::run(A<B>&)"),
            "my_operator<...>::run(A<...>&)");
  EXPECT_EQ(without_template_arguments("a::operator-><b>(c)"), "a::operator-><...>(c)");
  EXPECT_EQ(without_template_arguments("X::operator<=><int>(Y)"), "X::operator<=><...>(Y)");
  EXPECT_EQ(without_template_arguments("f<&X::operator<, int>(int)"), "f<...>(int)");
}

TEST(Symbolize, NamesAnExportedFunction) {
  const auto named = symbolize({libc_frame()});
  ASSERT_EQ(named.size(), 1U);
  EXPECT_TRUE(is_libc_version(named[0])) << named[0].function;
  EXPECT_NE(named[0].module.find("libc"), std::string::npos);
  EXPECT_NE(named[0].offset, 0U);
}

TEST(Symbolize, TrustsAFrameWithoutBuildIdByPathAndBase) {
  CrashFrame frame = libc_frame();
  frame.build_id = 0;
  EXPECT_TRUE(is_libc_version(symbolize({frame}).at(0)));
  CrashFrame moved = frame;
  moved.module_base += 4096;
  EXPECT_EQ(symbolize({moved}).at(0).function, "");
  CrashFrame renamed = frame;
  renamed.module += "x";
  EXPECT_EQ(symbolize({renamed}).at(0).function, "");
}

TEST(Symbolize, FindsAModuleOfTheSameBuildAtAnotherBase) {
  CrashFrame frame = libc_frame();
  if (frame.build_id == 0) GTEST_SKIP() << "the C library has no build-id";
  frame.address += 0x10000;
  frame.module_base += 0x10000;
  EXPECT_TRUE(is_libc_version(symbolize({frame}).at(0)));
}

TEST(Symbolize, NamesNothingInAModuleOfAnotherBuild) {
  CrashFrame frame = libc_frame();
  frame.build_id ^= 1U;
  const auto named = symbolize({frame});
  ASSERT_EQ(named.size(), 1U);
  EXPECT_EQ(named[0].function, "");
  EXPECT_EQ(named[0].address, frame.address);
  EXPECT_EQ(named[0].module, frame.module);
  EXPECT_EQ(named[0].offset, frame.address - frame.module_base);
}

TEST(Symbolize, NamesCodeThatWasLoadedLater) {
  symbolize({libc_frame()});
  void* library = ::dlopen(kSmallLibrary, RTLD_NOW);
  if (library == nullptr) GTEST_SKIP() << kSmallLibrary << " is not installed";
  const CrashFrame frame = frame_at(::dlsym(library, kSmallLibrarySymbol));
  EXPECT_EQ(symbolize({frame}).at(0).function, kSmallLibrarySymbol);
  ::dlclose(library);
  EXPECT_EQ(symbolize({frame}).at(0).function, "");
}

TEST(Symbolize, IsNotMisledByALibraryReplacedOnDisk) {
  void* original = ::dlopen(kSmallLibrary, RTLD_NOW);
  if (original == nullptr) GTEST_SKIP() << kSmallLibrary << " is not installed";
  std::ifstream file(ModuleMap::name_of(::dlsym(original, kSmallLibrarySymbol)), std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  ::dlclose(original);
  const int descriptor = ::memfd_create("symbolize_test", MFD_CLOEXEC);
  ASSERT_EQ(::write(descriptor, content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  void* library = ::dlopen(path.c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr);
  const CrashFrame frame = frame_at(::dlsym(library, kSmallLibrarySymbol));

  const int other = ::memfd_create("symbolize_test", MFD_CLOEXEC);
  ASSERT_EQ(::write(other, "no ELF file", 11), 11);
  ASSERT_EQ(::dup2(other, descriptor), descriptor);
  // The name comes from the memory of the process, no line from the file.
  const auto named = symbolize({frame});
  ASSERT_EQ(named.size(), 1U);
  EXPECT_EQ(named[0].function, kSmallLibrarySymbol);
  EXPECT_EQ(named[0].file, "");
  ::dlclose(library);
  ::close(other);
  ::close(descriptor);
}

TEST(Symbolize, IsSafeForRandomFrames) {
  constexpr unsigned kSeed = 6174;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937_64 random(kSeed);
  const ModuleMap map = ModuleMap::snapshot();
  for (int i = 0; i < 20'000; ++i) {
    CrashFrame frame;
    frame.address = random() >> (random() % 64);
    frame.module_base = random() >> (random() % 64);
    if (random() % 4 != 0) {
      const Module& module = map.modules()[random() % map.modules().size()];
      frame.module = module.path;
      frame.module_base = module.base;
      frame.address = module.base + random() % (1U << 22U);
      if (random() % 2 == 0) frame.build_id = module.build_id;
    }
    const auto named = symbolize({frame});
    ASSERT_FALSE(named.empty());
    EXPECT_EQ(named[0].address, frame.address);
    EXPECT_FALSE(to_string(named[0]).empty());
  }
}

TEST(Symbolize, GivesEveryThreadTheSameAnswer) {
  const CrashReport report = real_report();
  std::array<std::vector<SymbolizedFrame>, 4> answers;
  std::array<std::thread, 4> threads;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    threads[i] = std::thread([&report, &answer = answers[i]] {
      for (int round = 0; round < 200; ++round) answer = symbolize(report.frames);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& answer : answers) {
    ASSERT_EQ(answer.size(), answers[0].size());
    for (std::size_t i = 0; i < answer.size(); ++i) {
      EXPECT_EQ(to_string(answer[i]), to_string(answers[0][i]));
    }
  }
}

#if !defined(BULKHEAD_NO_LIBBACKTRACE)

TEST(Symbolize, NamesTheFunctionThatCrashed) {
  const auto named = symbolize(real_report().frames);
  std::string functions;
  for (const SymbolizedFrame& frame : named) functions += frame.function + "\n";
  EXPECT_NE(functions.find("bulkhead::detail::outer_part(unsigned long)\n"), std::string::npos)
      << functions;
  EXPECT_NE(functions.find("real_report"), std::string::npos) << functions;
}

TEST(Symbolize, ExpandsInlinedCallsWithTheirLines) {
  const auto named = symbolize(real_report().frames);
  ASSERT_GE(named.size(), 2U);
  if (named[0].file.empty()) GTEST_SKIP() << "built without debug information";
  EXPECT_EQ(to_string(named[0]),
            "bulkhead::detail::inlined_part(unsigned long) at "
            "symbolize_test.cpp:" +
                std::to_string(kCrashLine));
  EXPECT_EQ(to_string(named[1]),
            "bulkhead::detail::outer_part(unsigned long) at "
            "symbolize_test.cpp:" +
                std::to_string(kCrashLine + 5));
  EXPECT_EQ(named[0].address, named[1].address);
}

#endif

TEST(SymbolizedFrame, ReadsAsFunctionAndLine) {
  SymbolizedFrame frame{
      0x7f0012345678, "parse(Header&)", "/src/lib/parse.cpp", 31, "/lib/libfoo.so", 0x1234};
  EXPECT_EQ(to_string(frame), "parse(Header&) at parse.cpp:31");
  frame.line = 0;
  EXPECT_EQ(to_string(frame), "parse(Header&) at parse.cpp");
  frame.file.clear();
  EXPECT_EQ(to_string(frame), "parse(Header&) (libfoo.so+0x1234)");
}

TEST(SymbolizedFrame, ReadsAsModuleAndOffsetWithoutAName) {
  SymbolizedFrame frame;
  frame.address = 0x7f0012345678;
  frame.module = "/lib/libfoo.so";
  frame.offset = 0x1234;
  EXPECT_EQ(to_string(frame), "libfoo.so+0x1234");
  frame.module.clear();
  EXPECT_EQ(to_string(frame), "0x7f0012345678");
  EXPECT_EQ(to_string(SymbolizedFrame{}), "0x0");
}

}  // namespace
}  // namespace bulkhead::detail
