// SPDX-License-Identifier: MIT
//
// Tasks that misbehave. Each takes an element and would give it back if it got that far:
//
//   pool.try_map(only_at<3, segfaults>, test::numbers(0, 10))    // element 3 crashes
#pragma once

#include <cstddef>
#include <span>

namespace bulkhead::test {

// Ends of a process.
int kills_itself(int x);           ///< SIGKILL
int terminates_itself(int x);      ///< SIGTERM
int segfaults(int x);              ///< SIGSEGV: writes to address 16
int calls_nowhere(int x);          ///< SIGSEGV: calls address 0
int reads_past_the_end(int x);     ///< SIGBUS: reads a mapping beyond the end of its file
int divides_by_zero(int x);        ///< SIGFPE
int runs_bad_code(int x);          ///< SIGILL
int aborts(int x);                 ///< SIGABRT
int fails_an_assertion(int x);     ///< SIGABRT: "the sky is falling"
int throws_where_none_may(int x);  ///< SIGABRT: an exception leaves a noexcept function
int overflows_its_stack(int x);    ///< SIGSEGV
int wants_a_huge_frame(int x);     ///< SIGSEGV: 100 MB of local variables
int leaves_quietly(int x);         ///< _exit(0)
int leaves_with_code_one(int x);   ///< _exit(1)
int exits_with_code_42(int x);     ///< exit(42)
int ends_its_only_thread(int x);   ///< pthread_exit

// What a process can do to itself and live on.
int forks_and_both_return(int x);   ///< the copy returns -x
int closes_its_descriptors(int x);  ///< all from 3 on
int closes_its_standard_streams(int x);
int replaces_its_standard_streams(int x);  ///< 0, 1 and 2 are a pipe without a reader
int leaves_a_thread(int x);                ///< which sleeps for an hour
int ignores_signals(int x);                ///< all that can be ignored
int overwrites_its_outbox(int x);          ///< with 0xFF, all that it can write of it
int randomizes_its_outbox(int x);          ///< with random bytes that depend on x

/// What a worker can write of its outbox; empty in any other process.
std::span<std::byte> writable_outbox();

/// `Victim` at one element, and nothing at the others.
template <int kElement, int (*Victim)(int)>
int only_at(int x) {
  return x == kElement ? Victim(x) : x;
}

}  // namespace bulkhead::test
