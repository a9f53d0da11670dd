// SPDX-License-Identifier: MIT
//
// ModuleMap: tokens lead back to their address, and nothing else leads anywhere.
// Libraries of the C library's own package, and copies of them in memory, serve as modules that
// come and go.
#include "worker/module.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

constexpr const char* kSmallLibrary = "libBrokenLocale.so.1";
constexpr const char* kSmallLibrarySymbol = "__ctype_get_mb_cur_max";

int function_here(int x) {
  return x + 1;
}

const void* address_here() {
  return reinterpret_cast<const void*>(&function_here);
}

// In the C library, in a function that no sanitizer replaces.
const void* library_address() {
  return ::dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
}

/// A library that is loaded for the length of a block.
class Library {
 public:
  explicit Library(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW)) {}
  ~Library() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  explicit operator bool() const { return handle_ != nullptr; }
  const void* symbol(const char* name) const { return ::dlsym(handle_, name); }

 private:
  void* handle_;
};

/// A file in memory, with a path that dlopen accepts.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content)
      : descriptor_(::memfd_create("module_test", MFD_CLOEXEC)) {
    EXPECT_EQ(::write(descriptor_, content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string small_library_content() {
  const Library library(kSmallLibrary);
  return library ? content_of(ModuleMap::name_of(library.symbol(kSmallLibrarySymbol))) : "";
}

TEST(ModuleMap, ATokenLeadsBackToItsAddress) {
  const ModuleMap map = ModuleMap::snapshot();
  for (const void* address : {address_here(), library_address()}) {
    const auto token = map.token(address);
    ASSERT_TRUE(token);
    EXPECT_NE(token->build, 0U);
    EXPECT_EQ(map.resolve(*token), address);
  }
}

TEST(ModuleMap, GivesTheSameTokenInEverySnapshot) {
  EXPECT_EQ(ModuleMap::snapshot().token(address_here()),
            ModuleMap::snapshot().token(address_here()));
}

TEST(ModuleMap, GivesNoTokenOutsideCode) {
  static int data = 0;
  int local = 0;
  const ModuleMap map = ModuleMap::snapshot();
  EXPECT_FALSE(map.token(nullptr));
  EXPECT_FALSE(map.token(&data));
  EXPECT_FALSE(map.token(&local));
  EXPECT_FALSE(map.token(reinterpret_cast<const void*>(~std::uintptr_t{0})));
}

TEST(ModuleMap, ResolvesNoTokenOfAnUnknownBuild) {
  const ModuleMap map = ModuleMap::snapshot();
  ModuleToken token = map.token(address_here()).value();
  token.build ^= 1U;
  EXPECT_EQ(map.resolve(token), nullptr);
  EXPECT_EQ(map.resolve({}), nullptr);
}

TEST(ModuleMap, ResolvesNoOffsetOutsideTheCodeOfItsModule) {
  const ModuleMap map = ModuleMap::snapshot();
  const ModuleToken token = map.token(address_here()).value();
  EXPECT_EQ(map.resolve({token.build, 0}), nullptr);  // the ELF header, not executable
  EXPECT_EQ(map.resolve({token.build, std::uint64_t{1} << 40}), nullptr);
  // In the code of another module.
  const void* elsewhere = library_address();
  const auto base = reinterpret_cast<std::uintptr_t>(address_here()) - token.offset;
  EXPECT_EQ(map.resolve({token.build, reinterpret_cast<std::uintptr_t>(elsewhere) - base}),
            nullptr);
}

TEST(ModuleMap, ResolvesRandomTokensOnlyIntoCode) {
  constexpr unsigned kSeed = 20240229;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937_64 random(kSeed);
  const ModuleMap map = ModuleMap::snapshot();
  const std::uint64_t build = map.token(address_here()).value().build;
  for (int i = 0; i < 100'000; ++i) {
    const ModuleToken token{build, random() >> (random() % 64)};
    const void* address = map.resolve(token);
    EXPECT_TRUE(address == nullptr || map.token(address) == token);
    EXPECT_EQ(map.resolve({random(), random()}), nullptr);
  }
}

TEST(ModuleMap, NamesTheModuleOfAnAddress) {
  EXPECT_EQ(ModuleMap::name_of(address_here()), program_path());
  EXPECT_NE(ModuleMap::name_of(library_address()).find("libc"), std::string::npos);
  EXPECT_EQ(ModuleMap::name_of(nullptr), "unknown module");
}

TEST(ModuleMap, ListsTheProgramFirstByItsPath) {
  const ModuleMap map = ModuleMap::snapshot();
  ASSERT_FALSE(map.modules().empty());
  EXPECT_EQ(map.modules().front().path, program_path());
  EXPECT_EQ(map.find(address_here()), &map.modules().front());
}

TEST(ModuleMap, ChangesItsGenerationWhenAModuleComesOrGoes) {
  const std::uint64_t before = ModuleMap::generation();
  EXPECT_EQ(ModuleMap::generation(), before);
  std::uint64_t loaded = 0;
  {
    const Library library(kSmallLibrary);
    if (!library) GTEST_SKIP() << kSmallLibrary << " is not installed";
    loaded = ModuleMap::generation();
    EXPECT_NE(loaded, before);
  }
  EXPECT_NE(ModuleMap::generation(), loaded);
  EXPECT_NE(ModuleMap::generation(), before);
}

TEST(ModuleMap, DoesNotKnowCodeLoadedAfterTheSnapshot) {
  const ModuleMap before = ModuleMap::snapshot();
  const Library library(kSmallLibrary);
  if (!library) GTEST_SKIP() << kSmallLibrary << " is not installed";
  const void* address = library.symbol(kSmallLibrarySymbol);
  EXPECT_FALSE(before.token(address));
  const auto token = ModuleMap::snapshot().token(address);
  ASSERT_TRUE(token);
  EXPECT_EQ(before.resolve(*token), nullptr);
}

TEST(ModuleMap, TellsTwoCopiesOfOneBuildApart) {
  const std::string content = small_library_content();
  if (content.empty()) GTEST_SKIP() << kSmallLibrary << " is not installed";
  const MemoryFile first_file(content);
  const MemoryFile second_file(content);
  const Library first(first_file.path());
  const Library second(second_file.path());
  ASSERT_TRUE(first && second);
  const void* first_address = first.symbol(kSmallLibrarySymbol);
  const void* second_address = second.symbol(kSmallLibrarySymbol);
  ASSERT_NE(first_address, second_address);

  const ModuleMap map = ModuleMap::snapshot();
  const ModuleToken first_token = map.token(first_address).value();
  const ModuleToken second_token = map.token(second_address).value();
  EXPECT_NE(first_token, second_token);
  EXPECT_EQ(map.resolve(first_token), first_address);
  EXPECT_EQ(map.resolve(second_token), second_address);
}

TEST(ModuleMap, IdentifiesAModuleWithoutABuildIdByItsPathAndLayout) {
  std::string content = small_library_content();
  if (content.empty()) GTEST_SKIP() << kSmallLibrary << " is not installed";
  const std::string note_head("\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0", 16);
  const std::size_t note = content.find(note_head);
  if (note == std::string::npos) GTEST_SKIP() << kSmallLibrary << " has no build-id";
  content[note + 8] = 'x';  // no longer the type of a build-id
  const MemoryFile file(content);
  const Library library(file.path());
  ASSERT_TRUE(library);
  const void* address = library.symbol(kSmallLibrarySymbol);

  const ModuleMap map = ModuleMap::snapshot();
  ASSERT_NE(map.find(address), nullptr);
  EXPECT_EQ(map.find(address)->build_id, 0U);
  const auto token = map.token(address);
  ASSERT_TRUE(token);
  EXPECT_NE(token->build, 0U);
  EXPECT_EQ(map.resolve(*token), address);
  EXPECT_EQ(ModuleMap::snapshot().token(address), token);
}

TEST(LoadedModule, IsWhatTheSnapshotSays) {
  const auto loaded = find_loaded(reinterpret_cast<std::uintptr_t>(address_here()));
  if (!loaded) GTEST_SKIP() << "no _dl_find_object in this C library";
  const ModuleMap map = ModuleMap::snapshot();
  const Module& program = map.modules().front();
  EXPECT_TRUE(loaded->is_program());
  EXPECT_EQ(loaded->base, program.base);
  EXPECT_EQ(loaded->build_id(), program.build_id);
  EXPECT_FALSE(find_loaded(0));
}

TEST(BuildId, IsFoundBehindOtherNotes) {
  const std::string other("\x04\0\0\0\x02\0\0\0\x01\0\0\0GNU\0ab\0\0", 20);
  const std::string build_id("\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0xyz\0", 20);
  const auto hash = [](const std::string& notes) {
    return build_id_in_notes(std::as_bytes(std::span(notes)), 4);
  };
  EXPECT_NE(hash(build_id), 0U);
  EXPECT_EQ(hash(other + build_id), hash(build_id));
  EXPECT_EQ(hash(other), 0U);
  EXPECT_EQ(hash(build_id.substr(0, 18)), 0U);
}

TEST(BuildId, IsTheSameOnDiskAsInMemory) {
  EXPECT_EQ(build_id_of_file(program_path()), ModuleMap::snapshot().modules().front().build_id);
  EXPECT_EQ(build_id_of_file("/proc/self/cmdline"), 0U);
  EXPECT_EQ(build_id_of_file("/no/such/file"), 0U);
}

TEST(BuildId, IsSafeToLookForInRandomBytes) {
  constexpr unsigned kSeed = 19700101;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937 random(kSeed);
  for (int i = 0; i < 100'000; ++i) {
    std::vector<std::byte> notes(random() % 64);
    // Small numbers, so that some sizes are plausible.
    for (std::byte& byte : notes)
      byte = static_cast<std::byte>(random() % 3 == 0 ? random() % 8 : 0);
    build_id_in_notes(notes, random() % 2 == 0 ? 4 : 8);
  }
}

}  // namespace
}  // namespace bulkhead::detail
