// SPDX-License-Identifier: MIT
//
// The engine for debugging: tasks run in the calling process and thread, one at a time. No process,
// thread or shared memory; otherwise as in workers, whose codecs, retries, stops and errors they
// have.
//
//   run:  until the call is done:  take a turn ─▶ one task;  nothing may run yet? wait
//
// Only who has the turn runs code of the user's, and holds no lock meanwhile: a pool whose task
// hangs, or stands at a breakpoint, can be closed and terminated. Any thread may call anything
// here.
#pragma once

#include "runtime/active_call.hpp"
#include "runtime/admission.hpp"
#include "runtime/log.hpp"
#include "runtime/trace.hpp"
#include "runtime/worker_books.hpp"
#include "worker/local_task.hpp"
#include "worker/module.hpp"
#include "worker/wake.hpp"
#include <bulkhead/detail/job.hpp>
#include <bulkhead/options.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <sys/types.h>
#include <thread>
#include <utility>
#include <vector>

namespace bulkhead::detail {

class InlineEngine final : public Engine, public std::enable_shared_from_this<InlineEngine> {
 public:
  /// `options` have been validated; `workers` is what workers() is to say.
  InlineEngine(const Options& options, int workers);

  RunReport run(Job& job, const CallOptions& options) override;
  /// Runs it to its end.
  std::shared_ptr<RunningCall> start(std::shared_ptr<PendingCall> call) override;
  std::shared_ptr<RunningCall> submit(const SubmissionKey&,
                                      const std::function<std::shared_ptr<SubmittedCalls>()>&,
                                      Submission, std::optional<RunningCall::Time>) override {
    return nullptr;
  }
  [[nodiscard]] bool takes_submissions() const override { return false; }
  std::shared_ptr<Pull> open(std::shared_ptr<PulledCall> call) override;
  /// Never readable: there is never anything to do.
  int native_handle() override;
  void poll() override { require_usable(); }
  void close() override;
  bool drain(RunningCall::Time until) override;
  /// Waits for calls, runs the finalizer if the initializer has run.
  void join() override;
  /// Ends calls of other threads between two tasks. Does not wait for them.
  void terminate() override;
  void dismiss() override;
  void resize(int workers) override;
  Stats stats() override;
  [[nodiscard]] int workers() const override { return workers_; }
  [[nodiscard]] std::optional<std::uint64_t> worker_memory() const override { return std::nullopt; }
  [[nodiscard]] std::weak_ptr<Engine> own() override { return weak_from_this(); }
  [[nodiscard]] bool is_copy() const override { return !is_owner(owner_); }

 private:
  using State = PoolState;
  using Lock = std::unique_lock<std::mutex>;
  class Visit;
  class Turn;
  struct Definition;
  struct Call;
  class Pulled;

  void require_usable();
  [[nodiscard]] bool is_calling() const;
  void end();
  [[nodiscard]] std::vector<std::byte> define(const Job& job, const CallOptions& options);
  [[nodiscard]] ModuleToken token_of(const void* function) const;
  void step(Call& call);
  bool may_go_on(Call& call);
  void set_up();
  void run_task(Call& call, std::uint64_t task);
  void wait(Call& call);
  void report_progress(ActiveCall& call);
  void note_begin(ActiveCall& call, const CallOptions& options);
  void note_end(ActiveCall& call);
  void note_begin(const ActiveCall& call, std::uint64_t task);
  void note_end(ActiveCall& call, std::uint64_t task, int attempt, const char* outcome);

  const pid_t owner_;
  const int depth_;  ///< of tasks within tasks, where the pool belongs
  std::atomic<int> workers_;
  const Log log_;
  const std::string replay_dir_;  ///< empty: failed tasks are not saved
  const Hook initializer_;
  const Hook finalizer_;

  std::mutex mutex_;
  /// The turn is somebody else's, a call has ended, or the pool has.
  std::condition_variable_any changed_;
  State state_ = State::open;
  std::string cause_;                   ///< why the pool is broken
  std::vector<std::thread::id> calls_;  ///< the threads that are in one
  std::uint64_t next_turn_ = 0;
  /// Who wants a turn: the negative priority of its call, and a number; the least is next.
  std::set<std::pair<std::int64_t, std::uint64_t>> line_;
  std::thread::id runner_;  ///< who has the turn
  std::stop_source end_;    ///< of the pool
  std::optional<Doorbell> silent_bell_;

  struct Running {
    std::uint64_t call = 0;
    std::uint64_t index = 0;
    StatsTime since;
  };
  /// What is seen from outside: see inline_stats.cpp.
  struct Seen {
    StatsTime born = std::chrono::steady_clock::now();
    Stats::Seconds start{};  ///< of the initializer
    std::uint64_t calls = 0;
    Tally tally;  ///< of calls that are over
    Stats::Histogram tasks;
    SlowTasks slowest;
    struct Books {
      Tally tally;
      std::uint64_t unsent = 0;
    };
    std::map<const ActiveCall*, Books> active;  ///< as after their last tasks
    std::optional<Running> running;
  } seen_;
  std::optional<Trace> trace_;  ///< nothing: none is wanted

  // Of who has the turn.
  bool is_set_up_ = false;
  std::uint64_t generation_ = 0;
  ModuleMap modules_;
};

}  // namespace bulkhead::detail
