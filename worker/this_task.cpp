// SPDX-License-Identifier: MIT
#include "worker/host.hpp"
#include "worker/local_task.hpp"
#include "worker/task_clock.hpp"
#include <bulkhead/detail/element_mark.hpp>
#include <bulkhead/detail/key_mark.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/this_worker.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <unistd.h>
#include <utility>

namespace bulkhead {
namespace {

using Time = std::chrono::steady_clock::time_point;

// Tasks are told apart by the worker's count of those begun; 0 is none.
struct TaskClock {
  pid_t process = 0;
  std::atomic<detail::OutboxWords*> words{nullptr};  ///< not mapped in copies of the process
  const detail::Position* end_early = nullptr;       ///< the number of the task that is to
  std::atomic<std::int64_t> limit{0};                ///< ns
  std::atomic<std::uint64_t> seed{0};
  std::atomic<bool> numbered{true};
  std::atomic<const std::uint64_t*> index{nullptr};
  std::atomic<const std::atomic<std::uint64_t>*> mark{nullptr};  ///< if not null, instead of that
  std::atomic<int> worker{-1};
  std::atomic<int> attempt{0};
  std::atomic<std::uint64_t> asks{0};     ///< the task that wants to be told
  std::atomic<std::uint64_t> stopped{0};  ///< the task that was told
  std::uint32_t never_wiped = 1;          ///< where the kernel cannot tell a copy, none is told
  volatile std::uint32_t* calm = &never_wiped;
  // Before the answer of each task, in this order.
  void (*look)(std::uint64_t) = nullptr;
  void (*see_to)(std::uint64_t) = nullptr;
  void (*begin_element)(std::uint64_t, bool) = nullptr;
};
constinit TaskClock task_clock;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

bool is_copy() noexcept {
  return detail::own_pid() != task_clock.process;
}

std::uint64_t present_task() noexcept {
  const detail::OutboxWords* words = task_clock.words.load();
  return words == nullptr || is_copy() ? 0 : words->started.load(std::memory_order_relaxed);
}

[[noreturn]] void die_of_stop() {
  std::signal(SIGTERM, SIG_DFL);
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTERM);
  ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  static_cast<void>(::raise(SIGTERM));
  ::_exit(128 + SIGTERM);
}

}  // namespace

namespace detail {

void begin_task_clock(OutboxWords& words, const Position& end_early) {
  if (void* page = map_page_wiped_by_fork()) {
    task_clock.calm = static_cast<volatile std::uint32_t*>(page);
    *task_clock.calm = 1;
  }
  task_clock.process = own_pid();
  task_clock.words = &words;
  task_clock.end_early = &end_early;
  // A worker of a task's own pool has inherited these.
  task_clock.look = task_clock.see_to = nullptr;
  task_clock.begin_element = nullptr;
  task_clock.mark = nullptr;
  KeyMark::own().clear();
}

void end_task_clock() {
  task_clock.words = nullptr;
}

void set_worker_number(std::uint32_t number) {
  task_clock.worker = static_cast<int>(number);
}

void set_task_terms(const TaskTerms& terms) {
  task_clock.limit.store(terms.limit.count(), std::memory_order_relaxed);
  task_clock.seed.store(terms.seed, std::memory_order_relaxed);
  task_clock.numbered.store(terms.numbered, std::memory_order_relaxed);
}

void set_task_index(const std::uint64_t& index) {
  task_clock.index = &index;
}

void forget_element_mark() {
  task_clock.words.load()->element.store(kNoMark, std::memory_order_relaxed);
  task_clock.mark.store(nullptr, std::memory_order_relaxed);
}

std::uint64_t present_element() {
  return this_task::index();
}

void watch_elements(void (*begin)(std::uint64_t, bool)) {
  task_clock.begin_element = begin;
}

void restart_task_time() {
  if (task_clock.limit.load(std::memory_order_relaxed) == 0) return;
  OutboxWords& words = *task_clock.words.load();
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  words.began_at.store(now.count(), std::memory_order_relaxed);
  words.steps.store(words.steps.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

namespace {

/// Of the task of this thread, in a worker or inline.
void restart_present_time() {
  if (LocalTask* local = present_local_task()) return local->restart_time();
  restart_task_time();
}
/// From now on it does not pass, until that is called again. False: it did not, or has no limit.
bool pause_present_time() {
  if (LocalTask* local = present_local_task())
    return std::exchange(local->deadline, std::nullopt).has_value();
  OutboxWords* const words = task_clock.words.load();
  if (task_clock.limit.load(std::memory_order_relaxed) == 0 || words == nullptr) return false;
  return words->began_at.exchange(kPaused, std::memory_order_relaxed) != kPaused;
}

}  // namespace

OwnTime::OwnTime() : paused_(pause_present_time()) {}
OwnTime::~OwnTime() {
  if (paused_) go_on();
}
void OwnTime::go_on() {
  restart_present_time();
}
void OwnTime::pause() {
  static_cast<void>(pause_present_time());
}

std::uint64_t running_task() noexcept {
  return present_task();
}

void set_task_attempt(int attempt) {
  task_clock.attempt.store(attempt, std::memory_order_relaxed);
}

bool tell_of_stop() noexcept {
  const std::uint64_t task = present_task();
  if (task == 0 || task_clock.asks.load() != task) return false;
  task_clock.stopped = task;
  return true;
}

const volatile std::uint32_t& calm() {
  return *task_clock.calm;
}

void attend() {
  if (is_copy()) ::_exit(0);
  // From here on SIGTERM is the end of the process.
  task_clock.asks = 0;
  const std::uint64_t stopped = task_clock.stopped.load();
  if (stopped != 0 && stopped == present_task()) die_of_stop();
  if (task_clock.look != nullptr) task_clock.look(present_task());
  if (task_clock.see_to != nullptr) task_clock.see_to(present_task());
  if (task_clock.look == nullptr && task_clock.see_to == nullptr) *task_clock.calm = 1;
}

ElementMark::ElementMark(std::uint64_t first)
    : calm_(calm()),
      watched_(task_clock.begin_element != nullptr && present_local_task() == nullptr),
      first_(first) {
  LocalTask* local = present_local_task();
  if (local != nullptr) {
    word_ = &local->index;
    timed_ = local->limit.has_value();
    set(first);
    return;
  }
  word_ = &task_clock.words.load()->element;
  timed_ = task_clock.limit.load(std::memory_order_relaxed) != 0;
  task_ = present_task();
  end_early_ = task_clock.end_early;
  set(first);
  task_clock.mark.store(word_, std::memory_order_relaxed);
}

void ElementMark::attend() {
  if (present_local_task() != nullptr) return;  // in a pool of a task
  if (is_copy()) ::_exit(0);
  const std::uint64_t stopped = task_clock.stopped.load();
  if (stopped != 0 && stopped == present_task()) die_of_stop();
}

void ElementMark::restart_time() {
  restart_present_time();
}
bool ElementMark::is_told() {
  const LocalTask* local = present_local_task();
  return local != nullptr && local->told != LocalTask::Told::nothing;
}

void ElementMark::tell(std::uint64_t element) const {
  task_clock.begin_element(element, element == first_);
}

void attend_always(void (*see_to)(std::uint64_t)) {
  task_clock.see_to = see_to;
  *task_clock.calm = 0;
}

void attend_each_task(void (*look)(std::uint64_t)) {
  task_clock.look = look;
  if (look != nullptr) *task_clock.calm = 0;
}

}  // namespace detail

namespace this_task {

std::optional<Time> deadline() {
  if (const detail::LocalTask* task = detail::present_local_task()) return task->deadline;
  const std::chrono::nanoseconds limit(task_clock.limit.load(std::memory_order_relaxed));
  if (limit.count() == 0 || present_task() == 0) return std::nullopt;
  const Time begin(std::chrono::nanoseconds(task_clock.words.load()->began_at.load()));
  return limit > Time::max() - std::max(begin, Time{}) ? Time::max() : begin + limit;
}

std::uint64_t index() {
  if (const detail::LocalTask* task = detail::present_local_task()) return task->index;
  const bool known = present_task() != 0 && task_clock.numbered.load(std::memory_order_relaxed);
  if (!known) return 0;
  const std::atomic<std::uint64_t>* mark = task_clock.mark.load(std::memory_order_relaxed);
  return mark != nullptr ? mark->load(std::memory_order_relaxed) : *task_clock.index.load();
}

std::uint64_t seed() {
  if (const detail::LocalTask* task = detail::present_local_task())
    return detail::seed_of(task->seed, task->index);
  return detail::seed_of(task_clock.seed.load(std::memory_order_relaxed), index());
}

int attempt() {
  if (const detail::LocalTask* task = detail::present_local_task()) return task->attempt;
  return task_clock.words.load() != nullptr ? task_clock.attempt.load(std::memory_order_relaxed)
                                            : 0;
}

bool stop_requested() {
  if (detail::LocalTask* local = detail::present_local_task()) return local->ask();
  const std::uint64_t task = present_task();
  if (task == 0) return false;
  if (task_clock.asks.load(std::memory_order_relaxed) != task) {
    task_clock.asks = task;
    *task_clock.calm = 0;
  }
  return task_clock.stopped.load(std::memory_order_relaxed) == task;
}

}  // namespace this_task

int this_worker::number() {
  if (detail::LocalScope::depth() != 0) return 0;
  return task_clock.worker.load(std::memory_order_relaxed);
}

int detail::process_number() {
  return own_pid();
}

}  // namespace bulkhead
