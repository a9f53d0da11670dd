// SPDX-License-Identifier: MIT
//
// A pool in a program that is one event loop: no thread, and nothing blocks the loop.
#include <bulkhead/pool.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <sys/epoll.h>

namespace {

/// A parser with a bug.
int words(const std::string& text) {
  if (text.empty()) std::raise(SIGSEGV);
  int count = 1;
  for (const char letter : text) count += letter == ' ' ? 1 : 0;
  return count;
}

}  // namespace

int main() {
  bulkhead::Pool pool(2);
  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = pool.native_handle();
  ::epoll_ctl(loop, EPOLL_CTL_ADD, event.data.fd, &event);

  int requests = 0;
  int served = 0;
  int refused = 0;
  for (const std::string text : {"to be or not to be", "", "that is the question"}) {
    ++requests;
    pool.apply_async(words, text)
        .on_success([&](int count) { served += count; })
        .on_error([&](const std::exception_ptr&) { ++refused; })
        .on_done([&](const auto&) { --requests; });
  }
  while (requests != 0) {
    ::epoll_wait(loop, &event, 1, -1);
    pool.poll();  // callbacks come here
  }
  std::printf("%d words, %d request refused, and the loop goes on\n", served, refused);
}

// Prints:
// 10 words, 1 request refused, and the loop goes on
