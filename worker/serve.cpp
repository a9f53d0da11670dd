// SPDX-License-Identifier: MIT
#include "worker/serve.hpp"

#include "worker/broadcast.hpp"
#include "worker/channel.hpp"
#include "worker/confine.hpp"
#include "worker/crash.hpp"
#include "worker/faults.hpp"
#include "worker/host.hpp"
#include "worker/memory.hpp"
#include "worker/module.hpp"
#include "worker/rebuilt.hpp"
#include "worker/reset.hpp"
#include "worker/sanitizers.hpp"
#include "worker/task_clock.hpp"
#include "worker/task_trace.hpp"
#include "worker/work_meter.hpp"
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/detail/key_mark.hpp>
#include <bulkhead/detail/task_run.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <utility>

// What pthread_exit() throws has no address, which UBSan would report.
#define BULKHEAD_CATCHES_UNWINDING __attribute__((no_sanitize("null")))

namespace bulkhead::detail {
namespace {

/// exit() in a task must not run the host's atexit handlers and static destructors: this handler,
/// the youngest, runs before them.
void leave_at_once(int status, void*) {
  ::_exit(status);
}

// For what is seen to at the end of each task.
const std::vector<fault::Fault>* task_faults = nullptr;
std::uint64_t latest_task = 0;  ///< its index in its call; kept where there are faults
Channel* own_channel = nullptr;
WorkMeter* own_meter = nullptr;
const TaskTrace* own_trace = nullptr;  ///< null: none is wanted

/// Before the answer of each task; `number` is the worker's count.
void see_to_end_of_task(std::uint64_t number) {
  if (!mark_output(number)) own_channel->lose();
  if (number == 0) return;
  if (own_trace != nullptr) own_trace->end(number);
  meet_faults(*task_faults, fault::Point::task_ends, latest_task);
}

/// Before each element of a task of several.
void begin_element(std::uint64_t element, bool first) {
  if (!first) meet_faults(*task_faults, fault::Point::task_ends, latest_task);
  latest_task = element;
  meet_faults(*task_faults, fault::Point::task_begins, element);
}

/// The run that is being served; a task in a frame of its own is claimed here too.
class ServedRun final : public TaskRun {
 public:
  ServedRun(Channel& channel, const WorkerSetup& setup)
      : TaskRun({channel.words().started, channel.words().tail, channel.words().inbox_head,
                 channel.inbox_words().revoke_to, channel.inbox_words().bell_at},
                setup.faults.empty() && !setup.voice.traces ? channel.deaf() : kAlways, calm(),
                setup.fences == Fences::equal),
        channel_(channel),
        faults_(setup.faults) {
    set_task_index(task_);
  }

  /// Claims the task of the present frame, as begin() does those of a run.
  bool claim_frame(const FrameHeader& header, std::uint64_t begun, const Rebuilt& what) {
    forget_element_mark();
    task_ = header.task;
    begun_ = begun;
    timed_ = is_timed(what);
    marks_elements_ = what.callable != nullptr && what.callable->marks_elements;
    done_at_ = channel_.tasks().released();
    return claim();
  }

  void take_up(const FrameHeader& header, const std::byte* payload, std::uint64_t begun,
               const Rebuilt& what) {
    forget_element_mark();
    callable_ = header.callable;
    begun_ = begun;
    task_ = header.task;
    timed_ = is_timed(what);
    marks_elements_ = false;
    left_ = run_length(header);
    argument_ = payload;
    done_at_ = channel_.tasks().released();
    argument_at_ = channel_.tasks().position() + kFrameHeaderBytes;
    argument_cell_ = header.more * kFrameAlign;
    result_cell_ = what.callable != nullptr ? what.callable->result_cell : kFrameAlign;
  }
  /// The task that begin() claimed has failed: steps over it. No result is under way any more.
  std::uint64_t fail() {
    close();
    return task_;
  }
  using TaskRun::skip;
  /// Ends the frame of the results so far.
  void close() {
    if (open_) channel_.answers().close(result_at_ - channel_.answers().open_at());
    open_ = false;
    room_ = 0;
  }

  [[nodiscard]] std::uint64_t begun() const { return begun_; }
  /// Tasks that were taken back.
  [[nodiscard]] std::uint64_t left() const { return left_; }

 private:
  static bool is_timed(const Rebuilt& what) { return what.terms.limit.count() != 0; }

  void make_room() override {
    close();
    RingWriter& answers = channel_.answers();
    if (answers.room(result_cell_) < result_cell_) channel_.wait_for_room(result_cell_);
    room_ = std::min({left_, answers.room(result_cell_) / result_cell_, kRunBytes / result_cell_});
    result_ = answers.reserve(room_ * result_cell_);
    FrameHeader header;
    header.kind = FrameKind::values;
    header.more = static_cast<std::uint8_t>(result_cell_ / kFrameAlign);
    header.length = static_cast<std::uint32_t>(room_ * result_cell_);
    header.callable = callable_;
    header.task = task_;
    answers.open(header);
    result_at_ = answers.open_at();
    open_ = true;
  }
  bool is_revoked() override { return begun_ >= channel_.inbox_words().revoke_from.load(); }
  void ring() override {
    if (own_trace != nullptr) own_trace->begin(begun_ + 1);
    if (!faults_.empty()) begin_fault();
    if (channel_.ring_if_due(done_at_)) return;
    // The task has not begun: it must not be blamed for what another did.
    started_.store(begun_, std::memory_order_release);
    ::_exit(kExitLostDoorbell);
  }
  void note_time() override { restart_task_time(); }
  void attend() override { detail::attend(); }

  void begin_fault() {
    latest_task = marks_elements_ ? fault::kAnyTask : task_;
    if (!marks_elements_) meet_faults(faults_, fault::Point::task_begins, task_);
  }

  static constexpr bool kAlways = true;

  Channel& channel_;
  const std::vector<fault::Fault>& faults_;
  std::uint32_t callable_ = 0;
  bool open_ = false;            ///< results go into a frame that grows
  bool marks_elements_ = false;  ///< the task has faults of its elements, not of its own
};

class Server {
 public:
  Server(const WorkerSetup& setup, Channel& channel, WorkMeter& meter)
      : setup_(setup), channel_(channel), meter_(meter), run_(channel, setup) {}

  void run() {
    start();
    FrameHeader header;
    for (;;) {
      const std::byte* payload = channel_.next(header, begun_, setup_.idle_timeout);
      if (payload == nullptr) [[unlikely]]
        return leave();
      set_task_attempt(header.attempt);
      if (header.kind == FrameKind::tasks) [[likely]] {
        serve_run(header, payload);
      } else if (header.kind == FrameKind::task) {
        serve_task(header, payload);
      } else if (header.kind == FrameKind::leave) {
        return finalize();
      } else {
        administer(header, payload);
      }
    }
  }

 private:
  struct Entry : Rebuilt {
    std::string error;  ///< why there is no callable
  };

  /// Waits until there is a place in the pool for this worker.
  void start() {
    FrameHeader header;
    const std::byte* payload = channel_.next(header, begun_);
    MessageReader message(channel_, header, payload);
    if (header.kind != FrameKind::begin) ::_exit(kExitBrokenInbox);
    const auto number = message.get<std::uint32_t>();
    message.finish();
    name_process(("bulkhead-" + std::to_string(number)).c_str());
    set_worker_number(number);
    set_up(number);
    try {
      meet_faults(setup_.faults, fault::Point::worker_starts);
      if (setup_.initializer) setup_.initializer();
      attend_unless_calm();
      if (!channel_.can_ring()) ::_exit(kExitLostDoorbell);
    } catch (...) {
      attend_unless_calm();
      complain_and_leave(0);
    }
    meter_.start();
    // The zygote's word of who this is may come later than answers.
    MessageWriter(channel_, FrameKind::ready, 0, static_cast<std::uint64_t>(::getpid())).finish();
    ring_now();
  }

  void set_up(std::uint32_t number) {
    try {
      if (!setup_.cpus.empty()) stay_on(setup_.cpus[number % setup_.cpus.size()]);
      confine(setup_.limits);
    } catch (const std::exception&) {
      complain_and_leave(kSetupComplaint);
    }
  }

  /// A task has called pthread_exit(): that unwinds, and must not be stopped.
  [[noreturn]] static void leave_with_thread() {
    leave_last_words("it ended its own thread, by pthread_exit()");
    ::_exit(EXIT_FAILURE);
  }

  [[noreturn]] void complain_and_leave(std::uint64_t about) {
    answer_exception(FrameKind::failed, 0, about, "");
    ring_now();
    ::_exit(kExitInitializer);
  }

  /// For want of tasks. What comes from now on is not begun, and the coordinator hears of that
  /// before the finalizer runs, which may take long.
  void leave() {
    MessageWriter(channel_, FrameKind::leaves, 0, begun_).finish();
    channel_.turn_away();
    finalize();
  }

  void finalize() {
    end_task_clock();
    try {
      meet_faults(setup_.faults, fault::Point::worker_leaves);
      if (setup_.finalizer) setup_.finalizer();
    } catch (...) {
      answer_exception(FrameKind::failed, 0, 0, "");
      ring_now();
    }
  }

  void ring_now() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    channel_.ring_if_parked();
  }

  void serve_task(const FrameHeader& header, const std::byte* payload) {
    const bool claimed = run_.claim_frame(header, begun_, find(header.callable));
    begun_ = run_.begun();
    if (!claimed) return skip_revoked(header, payload, 1);
    MessageReader argument(channel_, header, payload);
    run_task(header, argument);
    argument.finish();
    meter_.end_frame(begun_);
  }

  // As serve_task(), for each task of a frame: see TaskRun.
  void serve_run(const FrameHeader& header, const std::byte* payload) {
    const Entry& entry = find(header.callable);
    run_.take_up(header, payload, begun_, entry);
    while (!run_through(entry)) {
    }
    run_.close();
    begun_ = run_.begun();
    meter_.end_frame(begun_);
    if (run_.left() != 0) return skip_revoked(header, payload, run_.left());
    channel_.tasks().advance();
    channel_.tasks().release();
  }

  /// False if a task threw, and others may follow.
  BULKHEAD_CATCHES_UNWINDING bool run_through(const Entry& entry) {
    try {
      if (entry.callable != nullptr) {
        entry.callable->run(entry.object, run_);
      } else if (run_.begin()) {
        throw Error(entry.error);
      }
      return true;
    } catch (const abi::__forced_unwind&) {
      leave_with_thread();
    } catch (...) {
      attend_unless_calm();
      answer_exception(FrameKind::thrown, current_number_, run_.fail(), "");
      run_.skip();
      return false;
    }
  }

  BULKHEAD_CATCHES_UNWINDING void run_task(const FrameHeader& header, MessageReader& argument) {
    TaskPhase phase = TaskPhase::running;
    try {
      const Entry& entry = find(header.callable);
      if (entry.callable == nullptr) throw Error(entry.error);
      phase = TaskPhase::decoding;
      MessageWriter result(channel_, FrameKind::value, header.callable, header.task);
      TaskCall call{header.task, argument, result, phase};
      if (meter_.is_exact()) {
        meter_.begin_task();
        call.watch = [](TaskPhase next) { own_meter->enter(next); };
      }
      entry.callable->call(entry.object, call);
      attend_unless_calm();
      result.finish();
      if (lends_broadcasts) [[unlikely]]
        hand_over(header);
    } catch (const abi::__forced_unwind&) {
      leave_with_thread();
    } catch (...) {
      attend_unless_calm();
      answer_exception(FrameKind::thrown, header.callable, header.task, to_string(phase));
      end_loans();
    }
  }

  /// The result lies in memory of this process: no other task may put an end to it before the
  /// coordinator has taken the memory.
  void hand_over(const FrameHeader& header) {
    MessageWriter(channel_, FrameKind::waits, header.callable, header.task).finish();
    ring_now();
    channel_.wait_until_taken();
    end_loans();
  }

  /// Tasks from the next one on were taken back; says so, once, instead of answering them. `left`
  /// of them are in the present frame.
  void skip_revoked(FrameHeader header, const std::byte* payload, std::uint64_t left) {
    const std::uint64_t end = channel_.inbox_words().revoke_to.load(std::memory_order_acquire);
    channel_.words().started.store(begun_, std::memory_order_relaxed);
    const std::uint64_t first = begun_;
    meter_.pause(begun_);
    meter_.finish_span();
    // It waits for room now, if it must: a worker that sleeps without tasks should have answered.
    MessageWriter answer(channel_, FrameKind::skipped, 0, first);
    for (;;) {
      if (header.kind == FrameKind::tasks) {
        channel_.tasks().advance();
        channel_.tasks().release();
      } else if (header.kind == FrameKind::task) {
        MessageReader(channel_, header, payload).finish();
      } else {
        administer(header, payload);
        left = 0;
      }
      begun_ += left;
      if (begun_ >= end) break;
      payload = channel_.next(header, first);
      left = header.kind == FrameKind::tasks ? run_length(header) : 1;
    }
    answer.put(end - first);
    answer.finish();
    channel_.words().started.store(begun_, std::memory_order_release);
    meter_.skip_to(begun_);
    ring_now();
    meter_.resume();
  }

  void administer(const FrameHeader& header, const std::byte* payload) {
    current_ = nullptr;
    set_task_terms({});
    forget_broadcasts();
    meter_.pause(begun_);
    MessageReader message(channel_, header, payload);
    if (header.kind == FrameKind::define) {
      define(header.callable, message);
    } else if (header.kind == FrameKind::drop) {
      drop(header.callable);
    } else {
      ::_exit(kExitBrokenInbox);
    }
    message.finish();
    meter_.resume_after_coding();
  }

  void define(std::uint32_t number, ByteReader& message) {
    Entry& entry = callables_[number];
    try {
      rebuild(setup_.modules, message, entry);
    } catch (...) {
      attend_unless_calm();
      entry.error = why_not_rebuilt();
    }
  }

  const Entry& find(std::uint32_t number) {
    if (current_ == nullptr || number != current_number_) {
      current_ = &callables_[number];
      current_number_ = number;
      set_task_terms(current_->terms);
      meter_.begin_kind(begun_);
    }
    return *current_;
  }
  void drop(std::uint32_t number) {
    const auto found = callables_.find(number);
    if (found == callables_.end()) return;
    found->second.drop();
    callables_.erase(found);
  }

  void answer_exception(FrameKind kind, std::uint32_t callable, std::uint64_t task,
                        const char* phase) {
    FailureDetails details = describe_current_exception();
    details.task = present_element();
    details.message.insert(0, phase);
    details.message += KeyMark::own().take();
    if (details.standard_type == StandardType::bad_alloc && setup_.limits.memory) {
      details.kind = FailureKind::out_of_memory;
      details.message += "; the limit of the worker's own memory is " +
                         std::to_string(*setup_.limits.memory >> 20) + " MiB";
    }
    MessageWriter answer(channel_, kind, callable, task);
    encode_exception(details, answer);
    answer.finish();
  }

  const WorkerSetup& setup_;
  Channel& channel_;
  WorkMeter& meter_;
  std::unordered_map<std::uint32_t, Entry> callables_;
  ServedRun run_;
  const Entry* current_ = nullptr;  ///< the entry of current_number_: mostly the next task's, too
  std::uint32_t current_number_ = 0;
  std::uint64_t begun_ = 0;  ///< tasks begun or skipped: the number of the next one
};

Memory map_or_exit(const Descriptor& fd, std::size_t bytes, Memory::Access access) {
  try {
    return {fd, bytes, access};
  } catch (const Error&) {
    ::_exit(kExitBadSetup);
  }
}

}  // namespace

void serve(const WorkerSetup& setup, const Doorbell& doorbell, ControlDescriptors fds) {
  auto [inbox_fd, outbox_fd, first_pipe, second_pipe, third_pipe] = std::move(fds);
  const Memory inbox =
      map_or_exit(inbox_fd, inbox_bytes(setup.ring_bytes), Memory::Access::read_only);
  const Memory outbox = map_or_exit(outbox_fd, outbox_bytes(setup.ring_bytes, setup.voice.traces),
                                    Memory::Access::read_write);
  seal_against_writing(outbox_fd);
  outbox.keep_private();
  inbox_fd.reset();
  outbox_fd.reset();
  if (!begin_light_fences(setup.fences)) ::_exit(kExitBadSetup);
  keep_broadcasts();
  begin_task_clock(outbox_words(outbox), inbox_words(inbox).end_early);
  Descriptor log_fd = std::move(setup.voice.has_streams() ? third_pipe : first_pipe);
  redirect_output(setup.voice.mode, std::move(first_pipe), std::move(second_pipe),
                  setup.voice.secret);
  task_faults = &setup.faults;
  if (setup.voice.has_streams() || !setup.faults.empty() || setup.voice.traces)
    attend_always(see_to_end_of_task);
  if (!setup.faults.empty()) watch_elements(begin_element);
  if (setup.voice.logs) {
    setup.forward_logs(
        std::make_unique<LogSender>(Descriptor(move_high(log_fd.release())), running_task));
  }
  install_crash_handlers(crash_page(outbox));
  listen_to_sanitizers();
  ::on_exit(leave_at_once, nullptr);
  WorkMeter meter(work_words(outbox));
  const TaskTrace trace(outbox, setup.ring_bytes);
  own_meter = &meter;
  own_trace = setup.voice.traces ? &trace : nullptr;
  Channel channel(inbox, outbox, setup.ring_bytes, doorbell, meter);
  own_channel = &channel;
  Server(setup, channel, meter).run();
  std::fflush(stdout);  // not all files: some may be the host's, with text of its own
  ::_exit(0);
}

}  // namespace bulkhead::detail
