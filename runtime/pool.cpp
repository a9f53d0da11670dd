// SPDX-License-Identifier: MIT
#include "runtime/coordinator.hpp"
#include "runtime/final_stats.hpp"
#include "runtime/inline_engine.hpp"
#include "runtime/options.hpp"
#include "runtime/replay.hpp"
#include "runtime/startup.hpp"
#include "worker/host.hpp"
#include "worker/replay_file.hpp"
#include "worker/reset.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

namespace bulkhead {
namespace {

std::shared_ptr<detail::Engine> make_engine(Options options) {
  detail::replay_if_asked(options);
  const int workers = detail::validated_workers(options, detail::usable_cpus());
  detail::require_sensible(options.limits);
  if (!options.replay_dir.empty())
    options.replay_dir = detail::replay_directory(options.replay_dir);
  const bool is_inline = detail::is_inline(options, ::secure_getenv("BULKHEAD_INLINE"));
  if (is_inline) return std::make_shared<detail::InlineEngine>(options, workers);
  detail::require_shallow(detail::pools_deep());
  const detail::Start start(options, detail::startup());
  if (start.method() == StartMethod::fork)
    detail::require_forkable(options, detail::thread_count());
  return std::make_shared<detail::Coordinator>(options, workers, start);
}

/// A thread that is not in this copy of the process may have been in the midst of changing it when
/// the copy was made: not even its destructor can be run. It stays reachable, and so no leak.
void leave_alone(std::shared_ptr<detail::Engine> engine) {
  static std::atomic<detail::Engine*> last = nullptr;
  detail::Engine& left = *engine;
  left.left_before = last.exchange(&left);
  left.left_alone = std::move(engine);
}

}  // namespace

Pool::Pool(int workers) : Pool(Options{.workers = workers}) {}
Pool::Pool(Options options)
    : engine_(make_engine(std::move(options))), final_(std::make_shared<StatsReader::Final>()) {}

Pool::~Pool() {
  if (!engine_) return;
  if (engine_->is_copy()) {
    leave_alone(std::move(engine_));
  } else {
    engine_->dismiss();
    final_->take(*engine_);
  }
}

detail::Engine& Pool::engine() const {
  if (engine_) return *engine_;
  throw PoolClosed(
      "bulkhead: a task cannot use the pool that it runs in; make a new Pool in the task");
}

int Pool::native_handle() {
  return engine().native_handle();
}
void Pool::poll() {
  static_cast<void>(engine());
  const std::shared_ptr<detail::Engine> engine = engine_;  // a callback may end the pool
  engine->poll();
}
void Pool::close() {
  engine().close();
}
bool Pool::drain(std::chrono::nanoseconds timeout) {
  return engine().drain(detail::time_from_now(timeout));
}
void Pool::join() {
  engine().join();
}
void Pool::terminate() {
  engine().terminate();
}
void Pool::resize(int workers) {
  engine().resize(workers);
}
Stats Pool::stats() const {
  return engine().stats();
}
StatsReader Pool::stats_reader() const {
  static_cast<void>(engine());
  return {engine_, final_};
}
int Pool::workers() const {
  return engine().workers();
}

}  // namespace bulkhead
