// SPDX-License-Identifier: MIT
#undef NDEBUG  // one victim fails an assertion
#include "tests/support/victims.hpp"

#include <alloca.h>
#include <array>
#include <cassert>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <linux/close_range.h>
#include <pthread.h>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

// What a sanitizer would report, the tests want to see happen.
#define BULKHEAD_TEST_UNSANITIZED __attribute__((noinline, no_sanitize("address", "undefined")))

namespace bulkhead::test {
namespace {

constexpr std::size_t kPage = 4096;

[[noreturn]] void throw_out_of_range(int x) {
  throw std::out_of_range("nobody may catch " + std::to_string(x));
}

int throw_in_noexcept(int x) noexcept {
  throw_out_of_range(x);
}

BULKHEAD_TEST_UNSANITIZED int recurse(int x) {
  std::array<volatile char, kPage> frame;
  frame[static_cast<std::size_t>(x) % kPage] = 1;
  return x == -1 ? 0 : recurse(x + 1) + frame[0];
}

}  // namespace

std::span<std::byte> writable_outbox() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find("/memfd:bulkhead") == std::string::npos) continue;
    if (line.find(" rw-s ") == std::string::npos) continue;
    std::size_t dash = 0;
    const std::uintptr_t begin = std::stoull(line, &dash, 16);
    const std::uintptr_t end = std::stoull(line.substr(dash + 1), nullptr, 16);
    return {reinterpret_cast<std::byte*>(begin), end - begin};
  }
  return {};
}

int kills_itself(int x) {
  return ::kill(::getpid(), SIGKILL) + x;
}

int terminates_itself(int x) {
  return ::raise(SIGTERM) + x;
}

BULKHEAD_TEST_UNSANITIZED int segfaults(int x) {
  *reinterpret_cast<volatile int*>(std::uintptr_t{16}) = x;
  return x;
}

BULKHEAD_TEST_UNSANITIZED int calls_nowhere(int x) {
  int (*volatile nowhere)(int) = nullptr;
  return nowhere(x);
}

BULKHEAD_TEST_UNSANITIZED int reads_past_the_end(int x) {
  const int file = ::memfd_create("empty", MFD_CLOEXEC);
  const auto* memory =
      static_cast<const volatile char*>(::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, 0));
  return memory[0] + x;
}

BULKHEAD_TEST_UNSANITIZED int divides_by_zero(int x) {
  volatile int zero = 0;
  return x / zero;
}

int runs_bad_code([[maybe_unused]] int x) {
  __builtin_trap();
}

int aborts([[maybe_unused]] int x) {
  std::abort();
}

int fails_an_assertion(int x) {
  const bool sky_is_up = false;
  assert(sky_is_up && "the sky is falling");
  return x;
}

int throws_where_none_may(int x) {
  return throw_in_noexcept(x);
}

int overflows_its_stack(int x) {
  return recurse(x < 0 ? 0 : x);
}

BULKHEAD_TEST_UNSANITIZED int wants_a_huge_frame(int x) {
  auto* frame = static_cast<volatile char*>(::alloca(std::size_t{100} << 20));
  asm volatile("" : : "r"(frame) : "memory");  // or all but one byte is optimized away
  frame[0] = 1;
  return frame[0] + x;
}

int leaves_quietly([[maybe_unused]] int x) {
  ::_exit(0);
}

int leaves_with_code_one([[maybe_unused]] int x) {
  ::_exit(1);
}

int exits_with_code_42([[maybe_unused]] int x) {
  std::exit(42);
}

int ends_its_only_thread([[maybe_unused]] int x) {
  ::pthread_exit(nullptr);
}

int forks_and_both_return(int x) {
  return ::fork() == 0 ? -x : x;
}

int closes_its_descriptors(int x) {
  return static_cast<int>(::syscall(SYS_close_range, 3U, ~0U, 0U)) + x;
}

int closes_its_standard_streams(int x) {
  for (const int fd : {0, 1, 2}) ::close(fd);
  return x;
}

int replaces_its_standard_streams(int x) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  for (const int fd : {0, 1, 2}) ::dup2(ends[1], fd);
  ::close(ends[0]);
  ::close(ends[1]);
  return x;
}

int leaves_a_thread(int x) {
  std::thread([] { ::sleep(3600); }).detach();
  return x;
}

int ignores_signals(int x) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
  return x;
}

BULKHEAD_TEST_UNSANITIZED int overwrites_its_outbox(int x) {
  for (std::byte& byte : writable_outbox()) byte = std::byte{0xFF};
  return x;
}

BULKHEAD_TEST_UNSANITIZED int randomizes_its_outbox(int x) {
  std::minstd_rand random(static_cast<unsigned>(x) + 1);
  for (std::byte& byte : writable_outbox()) byte = static_cast<std::byte>(random());
  return x;
}

}  // namespace bulkhead::test
