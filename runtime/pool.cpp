// SPDX-License-Identifier: MIT
#include "runtime/coordinator.hpp"
#include "runtime/options.hpp"
#include "worker/host.hpp"
#include <bulkhead/pool.hpp>

namespace bulkhead {
namespace {

std::unique_ptr<detail::Coordinator> make_coordinator(const Options& options) {
  const int workers = detail::validated_workers(options, detail::usable_cpus());
  detail::require_sensible(options.limits);
  detail::require_forkable(options, detail::thread_count());
  return std::make_unique<detail::Coordinator>(options, workers);
}

}  // namespace

Pool::Pool(int workers) : Pool(Options{.workers = workers}) {}
Pool::Pool(Options options) : coordinator_(make_coordinator(options)) {}
Pool::~Pool() = default;

detail::Coordinator& Pool::engine() const {
  if (coordinator_) return *coordinator_;
  throw PoolClosed(
      "bulkhead: a task cannot use the pool that it runs in; make a new Pool in the task");
}

void Pool::close() {
  engine().close();
}
void Pool::join() {
  engine().join();
}
void Pool::terminate() {
  engine().terminate();
}
int Pool::workers() const {
  return engine().workers();
}

}  // namespace bulkhead
