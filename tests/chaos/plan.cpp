// SPDX-License-Identifier: MIT
#include "tests/chaos/plan.hpp"

#include "tests/chaos/ledger.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/this_task.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <unistd.h>

namespace bulkhead::chaos {
namespace {

std::uint64_t run_seed = 0;

enum Purpose : std::uint64_t { kDeed = 1, kSignature, kArgument, kResult };

// The finalizer of MurmurHash3.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDU;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53U;
  return x ^ (x >> 33);
}

std::uint64_t draw(const Task& task, int attempt, Purpose purpose) {
  const std::uint64_t where = task.call << 32 | task.index;
  return mix(mix(mix(run_seed + where) + static_cast<std::uint64_t>(attempt)) + purpose);
}

std::string text_of(std::uint64_t number) {
  const std::uint64_t size = number % 64 == 0 ? (number >> 8) % 1'500'000 : (number >> 8) % 3000;
  std::string text(size, '.');
  for (std::size_t i = 0; i < text.size(); i += 61)
    text[i] = static_cast<char>('a' + (number + i) % 26);
  return text;
}

void do_deed(const Task& task, Deed deed) {
  using std::chrono::microseconds;
  switch (deed) {
    case Deed::work:
      return test::work_for(microseconds{10});
    case Deed::linger:
      return test::work_for(microseconds{3000});
    case Deed::throw_it:
      throw std::out_of_range(std::to_string(signature_of(task, this_task::attempt())));
    case Deed::segfault:
      return static_cast<void>(test::segfaults(0));
    case Deed::abort:
      return static_cast<void>(test::aborts(0));
    case Deed::kill_itself:
      return static_cast<void>(test::kills_itself(0));
    case Deed::exit_0:
      return static_cast<void>(test::leaves_quietly(0));
    case Deed::exit_3:
      ::_exit(3);
    case Deed::hang:
      for (;;) ::pause();
    case Deed::hang_politely:
      while (!this_task::stop_requested()) test::pause_a_moment();
  }
}

Answer run(const Task& task) {
  const int attempt = this_task::attempt();
  note(Event::begun, task, attempt);
  do_deed(task, deed_of(task, attempt));
  note(Event::ended, task, attempt);
  return {signature_of(task, attempt), attempt, ::getpid()};
}

}  // namespace

void set_seed(std::uint64_t seed) {
  run_seed = mix(seed);
}

Deed deed_of(const Task& task, int attempt) {
  const std::uint64_t number = draw(task, attempt, kDeed) % 1000;
  if (number < 20) return Deed::throw_it;
  if (number < 22) return Deed::segfault;
  if (number < 24) return Deed::abort;
  if (number < 28) return Deed::kill_itself;
  if (number < 31) return Deed::exit_0;
  if (number < 34) return Deed::exit_3;
  if (number < 60) return Deed::linger;
  if (task.may_hang == 0 || number >= 72) return Deed::work;
  return number < 63 ? Deed::hang : Deed::hang_politely;
}

bool returns(Deed deed) {
  return deed == Deed::work || deed == Deed::linger;
}

std::uint64_t signature_of(const Task& task, int attempt) {
  return draw(task, attempt, kSignature);
}

std::string argument_text(const Task& task) {
  return text_of(draw(task, 0, kArgument));
}
std::string result_text(const Task& task, int attempt) {
  return text_of(draw(task, attempt, kResult));
}

Answer answer(const Task& task) {
  return run(task);
}

LargeAnswer answer_at_length(const LargeTask& task) {
  if (task.second != argument_text(task.first)) throw std::logic_error("the argument is wrong");
  const Answer answer = run(task.first);
  return {answer, result_text(task.first, answer.attempt)};
}

}  // namespace bulkhead::chaos
