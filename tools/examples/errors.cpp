// SPDX-License-Identifier: MIT
//
// What becomes of a task that fails: item 4 kills its worker, item 7 throws, the others do not
// notice. try_map throws nothing and loses nothing: each element is a value or a failure.

#include <bulkhead/pool.hpp>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

int half(int x) {
  if (x == 4) {
    const int* volatile nowhere = nullptr;
    return *nowhere;
  }
  if (x == 7) throw std::domain_error("7 has no half that I like");
  return x / 2;
}

void print(const bulkhead::Failure& failure) {
  const auto task = static_cast<unsigned long long>(failure.task());
  if (failure.kind() == bulkhead::FailureKind::crashed) {
    std::printf("task %llu crashed: SIG%s\n", task, sigabbrev_np(failure.signal()));
  } else {
    std::printf("task %llu threw: %s\n", task, failure.message().c_str());
  }
}

int main() {
  bulkhead::Pool pool;
  const std::vector<int> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const auto& outcome : pool.try_map(half, numbers)) {
    if (outcome) {
      std::printf("%d\n", outcome.value());
    } else {
      print(outcome.failure());  // failure().what() is the whole story in one sentence
    }
  }
}

// Prints:
// 0
// 0
// 1
// 1
// task 4 crashed: SIGSEGV
// 2
// 3
// task 7 threw: 7 has no half that I like
// 4
// 4
