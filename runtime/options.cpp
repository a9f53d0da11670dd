// SPDX-License-Identifier: MIT
#include "runtime/options.hpp"

#include "runtime/time.hpp"
#include "worker/host.hpp"
#include <bulkhead/detail/job.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {
namespace {

void require_time(const TimeLimit& limit, const char* name) {
  if (!limit || limit->count() > 0) return;
  throw InvalidArgument("bulkhead: " + std::string(name) + " is " + to_text(*limit) +
                        "; it must be positive (leave it unset for no such limit)");
}

void require_sensible(const fault::Fault& fault) {
  if (fault.delay.count() < 0) {
    throw InvalidArgument("bulkhead: Fault::delay is " + to_text(fault.delay) +
                          "; it must not be negative");
  }
  if (fault.attempt < 0) {
    throw InvalidArgument("bulkhead: Fault::attempt is " + std::to_string(fault.attempt) +
                          "; it must be 1 or more, or 0 for any");
  }
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}
std::string number(std::chrono::seconds value) {
  return std::to_string(value.count()) + " s";
}

}  // namespace

int validated_workers(const Options& options, int usable_cpus) {
  if (options.ring_bytes < kMinRingBytes || options.ring_bytes > kMaxRingBytes) {
    throw InvalidArgument("bulkhead: Options::ring_bytes is " + std::to_string(options.ring_bytes) +
                          "; it must be between " + std::to_string(kMinRingBytes) + " and " +
                          std::to_string(kMaxRingBytes) +
                          " (larger values stream through any ring)");
  }
  const int workers = options.workers.value_or(std::min(usable_cpus, kMaxWorkers));
  require_workers(
      workers, "Options::workers",
      " (leave it unset for one worker per usable CPU, here " + std::to_string(usable_cpus) + ")");
  const auto require_some = [](const auto& limit, const char* name) {
    if (!limit || *limit > 0) return;
    throw InvalidArgument("bulkhead: Options::" + std::string(name) +
                          " is 0; it must be at least 1" +
                          " (leave it unset for workers that live as long as the pool)");
  };
  if (options.max_in_flight == 0)
    throw InvalidArgument("bulkhead: Options::max_in_flight is 0; it must be 1 or more");
  require_some(options.max_tasks_per_worker, "max_tasks_per_worker");
  require_some(options.recycle_rss, "recycle_rss");
  require_time(options.initializer_timeout, "Options::initializer_timeout");
  require_time(options.idle_timeout, "Options::idle_timeout");
  if (options.output > Output::discard) {
    throw InvalidArgument("bulkhead: Options::output is " +
                          std::to_string(static_cast<int>(options.output)) +
                          "; it must be one of inherit, lines, capture and discard");
  }
  for (const fault::Fault& fault : options.faults) require_sensible(fault);
  return workers;
}

void require_workers(int workers, const std::string& what, const std::string& hint) {
  if (workers >= 1 && workers <= kMaxWorkers) return;
  throw InvalidArgument("bulkhead: " + what + " is " + std::to_string(workers) +
                        "; it must be between 1 and " + std::to_string(kMaxWorkers) + hint);
}

bool is_inline(const Options& options, const char* environment) {
  const std::string_view word = environment != nullptr ? environment : "";
  if (word.empty()) return options.inline_execution;
  if (word == "1" || word == "0") return word == "1";
  throw InvalidArgument("bulkhead: the environment variable BULKHEAD_INLINE is \"" +
                        std::string(word) +
                        "\"; it must be 1 (tasks run in the calling process, for debugging) or 0");
}

void require_sensible(const Limits& limits) {
  const auto require_positive = [](const auto& limit, const char* name) {
    if (!limit || *limit > std::decay_t<decltype(*limit)>{}) return;
    throw InvalidArgument("bulkhead: Limits::" + std::string(name) + " is " + number(*limit) +
                          "; it must be positive (leave it unset for no limit)");
  };
  const auto require_enough = [](const auto& limit, std::uint64_t least, const std::string& name,
                                 const char* unit) {
    if (!limit || *limit >= least) return;
    throw InvalidArgument("bulkhead: Limits::" + name + " is " + std::to_string(*limit) + unit +
                          "; a worker needs at least " + std::to_string(least) + unit +
                          " (leave it unset for no limit)");
  };
  require_enough(limits.memory, kMinMemory, "memory", " bytes");
  require_enough(limits.open_files, kMinOpenFiles, "open_files", "");
  if (std::abs(limits.oom_score_adj.value_or(0)) > kMaxOomScore) {
    throw InvalidArgument("bulkhead: Limits::oom_score_adj is " +
                          std::to_string(*limits.oom_score_adj) +
                          "; it must be between -1000 and 1000");
  }
  require_positive(limits.cpu_time, "cpu_time");
  require_positive(limits.file_size, "file_size");
  require_positive(limits.processes, "processes");
}

void require_shallow(int pools_deep) {
  if (pools_deep < kMostPoolsDeep) return;
  throw Error("bulkhead: this task is " + std::to_string(pools_deep) +
              " pools deep, in a pool of a task in a pool of a task, and so on, and makes another; "
              "does a function that makes a Pool call itself there?");
}

void require_single_thread(int threads) {
  if (threads <= 1) return;
  throw Error("bulkhead: this process has " + std::to_string(threads) +
              " threads already when it comes to bulkhead::init(), whose snapshot would hold their "
              "locks locked for ever; call it first thing in main");
}

void require_forkable(const Options& options, int threads) {
  if (threads <= 1 || options.risk_locks_held_by_other_threads) return;
  throw Error(
      "bulkhead: this process has " + std::to_string(threads) + " threads (" + thread_names() +
      "), and workers are forked from it: a lock that another thread holds now would stay locked "
      "for ever in every worker. Make the Pool, or call fork_map, before starting threads (that of "
      "a Pool with asynchronous calls is named bulkhead-pool: see Options::helper_thread); call "
      "bulkhead::init() first thing in main and make Pools, but not fork_map's, at any time; or, "
      "if you know that no such lock matters, set Options::risk_locks_held_by_other_threads");
}

void require_sensible(const CallOptions& options) {
  require_time(options.timeout, "CallOptions::timeout");
  if (options.buffersize == std::size_t{0})
    throw InvalidArgument("bulkhead: CallOptions::buffersize is 0; it must be 1 or more");
  require_sensible(options.retries);
}

void require_sensible(const Retries& retries) {
  const auto require_count = [](int count, const char* name) {
    if (count >= 0 && count <= kMaxRetries) return;
    throw InvalidArgument("bulkhead: Retries::" + std::string(name) + " is " +
                          std::to_string(count) + "; it must be between 0 and " +
                          std::to_string(kMaxRetries));
  };
  require_count(retries.exceptions, "exceptions");
  require_count(retries.crashes, "crashes");
  require_count(retries.timeouts, "timeouts");
  require_count(retries.out_of_memory, "out_of_memory");
  if (retries.pause.count() < 0) {
    throw InvalidArgument("bulkhead: Retries::pause is " + to_text(retries.pause) +
                          "; it must not be negative");
  }
}

SubmissionKey submission_key(const FunctionKey& function, const CallOptions& options) {
  require_sensible(options);
  if (options.progress || options.stop.stop_possible()) {
    throw InvalidArgument(std::string("bulkhead: CallOptions::") +
                          (options.progress ? "progress" : "stop") +
                          " is set; submit() and its like do not take it (AsyncResult::cancel() "
                          "ends a call; apply_async() takes all options)");
  }
  const Retries& retries = options.retries;
  return {function,
          options.timeout,
          options.seed,
          {retries.exceptions, retries.crashes, retries.timeouts, retries.out_of_memory},
          retries.pause,
          options.priority,
          options.label.text() ? *options.label.text() : std::string()};
}

}  // namespace bulkhead::detail
