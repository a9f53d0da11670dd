// SPDX-License-Identifier: MIT
//
// The seam between the typed API, which is compiled in the user's program, and the engines, which
// are compiled once. A Job is one call of map or apply without its types. The engine crosses the
// seam once per batch of tasks: the job encodes straight into a worker's inbox and decodes straight
// from its outbox.
//
// All functions are called by one thread at a time, under the engine's lock, and do not throw
// unless it is said: what the user's code throws becomes a failure of its task, or is kept by the
// job.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/parcels.hpp>
#include <bulkhead/detail/ring.hpp>
#include <bulkhead/detail/task_sink.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/options.hpp>
#include <bulkhead/stats.hpp>
#include <bulkhead/task_output.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Tasks first, first + 1, ... (count of them).
struct TaskRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool operator==(const TaskRange&) const = default;
};

/// No element, or none that is known.
inline constexpr std::uint64_t kNoElement = std::numeric_limits<std::uint64_t>::max();

/// Consecutive tasks that have ended.
struct Settled {
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  std::uint64_t lowest_failed = 0;  ///< index of a task; valid if `failed` is not 0
  bool lost = false;  ///< the answer behind them refers to what its worker does not hold any more
};

/// A result that comes in pieces, because it is larger than a ring has room for.
class LargeResult {
 public:
  virtual ~LargeResult() = default;
  /// The next bytes. Never asks for more memory than it was given bytes, whatever they claim.
  virtual void add(std::span<const std::byte> bytes) = 0;
  /// All bytes have come: places the value, or the failure, at its index.
  virtual Settled finish() = 0;
};

class Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  // What to run.

  /// Names the callable in every process with the same module.
  [[nodiscard]] virtual Describe describe() const = 0;
  /// The plain function that is called, or null.
  [[nodiscard]] virtual const void* function() const { return nullptr; }
  /// True if encode_state() writes something, which is then sent once to each worker.
  [[nodiscard]] virtual bool has_state() const { return false; }
  /// Writes the functor's state. May throw.
  virtual void encode_state(ByteWriter&) const {}
  /// False: what numbers the tasks have is of no meaning to the user.
  [[nodiscard]] virtual bool numbers_tasks() const { return true; }
  /// True if tasks after a failed one need not be run.
  [[nodiscard]] virtual bool stops_at_failure() const = 0;

  // On the way out.

  struct Supply {
    std::uint64_t known = 0;  ///< elements 0 to known - 1 exist
    bool complete = false;    ///< there are no others
    bool failed = false;      ///< the source threw: give out nothing more
  };
  /// Draws from the source until `wanted` elements exist, or it ends.
  virtual Supply supply(std::uint64_t wanted) = 0;

  /// Tasks from there on are not to be given out now: there are results enough.
  [[nodiscard]] virtual std::uint64_t horizon() const {
    return std::numeric_limits<std::uint64_t>::max();
  }

  struct Encoded {
    std::uint64_t accepted = 0;  ///< of the tasks, in order
    bool failed = false;         ///< the task after those could not be encoded, and has failed
    /// How, if so; nothing: nobody wanted it.
    std::optional<FailureKind> kind = FailureKind::exception;
  };
  /// Puts tasks into an inbox, as many as it takes.
  virtual Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) = 0;
  /// Writes the argument of one task that has not ended. May throw.
  virtual void encode_argument(std::uint64_t, ByteWriter&) const {}

  // On the way back.

  /// Takes the results of the first of these tasks from the ring: whole frames of kind `value` that
  /// bear the right numbers, until there is none.
  virtual Settled decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) = 0;
  /// The result of `task` will come in pieces.
  virtual std::unique_ptr<LargeResult> receive(std::uint64_t task) = 0;
  /// `task` has ended without a value.
  virtual void fail(std::uint64_t task, Failure failure) = 0;
  /// What `task`, which has ended with a value, has written.
  virtual void attach(std::uint64_t task, std::shared_ptr<const TaskOutput> output) = 0;

  // Of jobs whose tasks are not their elements.

  /// The element that `task`, which has not ended, is at, or begins with. `claimed` is what its
  /// worker says, and may be anything.
  [[nodiscard]] virtual std::uint64_t element_of(std::uint64_t task, std::uint64_t claimed) const {
    static_cast<void>(claimed);
    return task;
  }
  /// True if workers say, in a task, from when on its time limit is counted, and it is believed as
  /// often as they say so.
  [[nodiscard]] virtual bool has_steps() const { return false; }
  /// What the user knows the element by, if not by its number.
  [[nodiscard]] virtual std::string place_of(std::uint64_t) const { return {}; }
  /// `task` has failed at that element, and from now on is no more than it. `again`: it will be
  /// run again, and what else it was is to be done by others.
  virtual void narrow(std::uint64_t, std::uint64_t, bool) {}
  /// What part is left of `task`, which may end early and leave that to others, as its worker says
  /// (see element_of); 0: nothing, or it may not.
  [[nodiscard]] virtual double left_of(std::uint64_t task, std::uint64_t claimed) const {
    static_cast<void>(task);
    static_cast<void>(claimed);
    return 0;
  }
  /// What it costs if a task ends early.
  [[nodiscard]] virtual std::chrono::nanoseconds cost_of_ending_early() const { return {}; }
  /// False if nothing depends on `task` any more, so that it is settled when it would be encoded.
  [[nodiscard]] virtual bool wants(std::uint64_t) const { return true; }
  /// How far the call has come, of which so many tasks have ended.
  [[nodiscard]] virtual Progress progress(const Progress& tasks) const { return tasks; }
};

/// What a job that ended has not done.
struct RunReport {
  /// Why tasks were left without an outcome, if any were: kind and message. Null: every task below
  /// `known` was settled, or stops_at_failure() spared it.
  std::unique_ptr<FailureDetails> given_up;
  /// Elements that the source has given.
  std::uint64_t known = 0;
};

/// Something that a thread may wait for.
class Awaited {
 public:
  Awaited() = default;
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;
  virtual ~Awaited() = default;

  /// True if who waits need not wait any more. Under the engine's lock.
  [[nodiscard]] virtual bool ready() const = 0;
};

/// A result that is on its way, and who is to hear of it.
class Expected : public Awaited, public std::enable_shared_from_this<Expected> {
 public:
  /// Calls one of the user's functions that wait for it, without any lock. Once it is ready, by one
  /// thread at a time, until there is none: false. Throws what the function throws.
  virtual bool tell() = 0;
  /// Once it is ready: true if there is none, so that it counts as told. One that comes later says
  /// so itself (RunningCall::tell_again).
  virtual bool concerns_nobody() = 0;
};

/// A call that the engine keeps until it has ended.
class KeptCall {
 public:
  KeptCall() = default;
  KeptCall(const KeptCall&) = delete;
  KeptCall& operator=(const KeptCall&) = delete;
  virtual ~KeptCall() = default;

  [[nodiscard]] virtual Job& job() = 0;
  [[nodiscard]] virtual const CallOptions& options() const = 0;
  /// Every task has ended, or will have no outcome of its own: takes the results. `error`, if there
  /// is one, is what the call throws instead. Called once, under the engine's lock.
  virtual void finish(const RunReport& report, std::exception_ptr error) = 0;
};

/// One that goes on though its caller does not wait. finish() makes its result ready.
class PendingCall : public KeptCall {
 public:
  [[nodiscard]] virtual std::shared_ptr<Expected> result() const = 0;
};

/// One call of a function with arguments that are encoded already.
struct Submission {
  ParcelBatch argument;  ///< one parcel
  std::shared_ptr<Expected> result;
};

/// Names a function that needs no state: see Job::describe(), Job::function().
using FunctionKey = std::pair<Describe, const void*>;

/// What calls of one job have in common: the function, and what CallOptions say of each task.
using SubmissionKey =
    std::tuple<FunctionKey, std::optional<std::chrono::nanoseconds>, std::uint64_t,
               std::array<int, 4>, std::chrono::nanoseconds, int, std::string>;
/// Throws InvalidArgument where the options make no sense, or are not for calls made one by one.
[[nodiscard]] SubmissionKey submission_key(const FunctionKey& function, const CallOptions& options);

/// Such calls of one function with the same options: one job, to which others are added while there
/// are any. Under the engine's lock.
class SubmittedCalls : public KeptCall {
 public:
  /// Adds a call; `result` is of the type that the function has. Its task.
  virtual std::uint64_t add(Submission call) = 0;
  /// If it is not ready, the task will not be run (again).
  virtual void spoil(std::uint64_t task) = 0;
  /// The task, which has been spoilt, is with nobody: it ends now.
  virtual void cancel(std::uint64_t task) = 0;
  /// True if all have ended.
  [[nodiscard]] virtual bool idle() const = 0;
  struct Load {
    std::uint64_t calls = 0;  ///< that have not ended
    std::uint64_t bytes = 0;  ///< that their arguments take
  };
  [[nodiscard]] virtual Load load() const = 0;
  /// Moves the results that have become ready to the end of `ended`.
  virtual void take_ended(std::vector<std::shared_ptr<Expected>>& ended) = 0;
};

/// One of these, as seen by who may want its result. Any thread; also when the engine is gone.
class RunningCall {
 public:
  using Time = std::chrono::steady_clock::time_point;

  RunningCall() = default;
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
  virtual ~RunningCall() = default;

  /// Waits until `goal` is reached, or until then; the thread drives meanwhile. Only what this
  /// engine does may be waited for.
  virtual void wait_for(const Awaited& goal, std::optional<Time> until) = 0;
  /// The same for what is so when functions that wait for the result have been called, by another
  /// thread: true at once if that is up to this thread. False: it takes longer.
  virtual bool wait_for_teller(const Awaited&, std::optional<Time>) { return true; }
  /// Which engine that is; null if it has gone, and so has ended its calls.
  [[nodiscard]] virtual const void* engine() const = 0;
  /// Tasks that have not ended are cancelled; those that run are ended.
  virtual void cancel() = 0;
  /// There are functions again that wait for the result, which is ready.
  virtual void tell_again(std::shared_ptr<Expected> result) = 0;
};

/// One whose elements come and whose results leave in small lots, while a thread pulls.
class PulledCall : public KeptCall {
 public:
  // Under the engine's lock.

  /// Hands over the elements that have been drawn.
  virtual void give() = 0;
  /// Takes the results that have come, unless some are left from before.
  virtual void take() = 0;
  /// True if there are results, or elements are wanted, or there will be no more of either. Called
  /// by who reads, or while that waits.
  [[nodiscard]] virtual bool wants_exchange() const = 0;
};

/// Such a call, as seen by who pulls: one thread at a time; also when the engine is gone.
class Pull {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Pull() = default;
  Pull(const Pull&) = delete;
  Pull& operator=(const Pull&) = delete;
  virtual ~Pull() = default;

  /// Gives, drives until there is something to exchange, or until then, and takes. Throws what
  /// options.progress throws; the call is given up then.
  virtual void exchange(std::optional<Time> until) = 0;
  /// The same without waiting: workers are given what there is.
  virtual void tend() = 0;
  /// See RunningCall.
  virtual void cancel() = 0;
};

/// Runs jobs. There are two: the Coordinator, in worker processes, and the InlineEngine, in the
/// calling process. Any thread may call anything but the destructor.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  /// Runs a job to its end; the calling thread does the work. Throws what keeps it from beginning:
  /// PoolClosed, BrokenPool, Error; and what options.progress throws.
  virtual RunReport run(Job& job, const CallOptions& options) = 0;
  /// Begins a job that goes on by itself. Throws what run() throws.
  virtual std::shared_ptr<RunningCall> start(std::shared_ptr<PendingCall> call) = 0;
  /// Adds a call to those that there are with that key, made by `make` if there were none. With
  /// `room_until` waits until then for room among those that have not ended, as Options say; null
  /// if there was none. Throws what run() throws.
  virtual std::shared_ptr<RunningCall> submit(
      const SubmissionKey& key, const std::function<std::shared_ptr<SubmittedCalls>()>& make,
      Submission call, std::optional<RunningCall::Time> room_until) = 0;
  /// False: submit() is not to be called.
  [[nodiscard]] virtual bool takes_submissions() const = 0;
  /// Begins a call that gets on while somebody pulls. Throws what run() throws.
  virtual std::shared_ptr<Pull> open(std::shared_ptr<PulledCall> call) = 0;
  // See Pool.
  virtual int native_handle() = 0;
  virtual void poll() = 0;
  virtual void close() = 0;
  virtual bool drain(RunningCall::Time until) = 0;
  virtual void join() = 0;
  virtual void terminate() = 0;
  /// The last call: terminates. No thread of the engine's is left, but where one of them calls.
  virtual void dismiss() = 0;
  virtual void resize(int workers) = 0;
  [[nodiscard]] virtual int workers() const = 0;
  /// Bytes that each may have of its own; nothing: it is not limited by the pool.
  [[nodiscard]] virtual std::optional<std::uint64_t> worker_memory() const = 0;
  virtual Stats stats() = 0;
  /// To be used later, if it is still there.
  [[nodiscard]] virtual std::weak_ptr<Engine> own() = 0;
  /// True in a fork of the process that made it: it must not be used there, nor destroyed.
  [[nodiscard]] virtual bool is_copy() const = 0;
  Engine* left_before = nullptr;                 ///< the copy that was left alone before this one
  std::shared_ptr<Engine> left_alone = nullptr;  ///< itself, so that it stays
};

}  // namespace bulkhead::detail
