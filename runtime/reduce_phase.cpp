// SPDX-License-Identifier: MIT
#include "runtime/keyed_phase.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

namespace bulkhead::detail {
namespace {

class ReducePhase final : public KeyedPhase {
 public:
  ReducePhase(const KeyedCallable& callable, const KeyedPlan& plan, RunStore& runs,
              RunStore& result, std::size_t partitions, std::uint64_t workers, KeyedReport& report)
      : KeyedPhase(callable, plan, result),
        runs_(runs),
        workers_(workers),
        report_(report),
        partition_of_(partitions) {
    std::iota(partition_of_.begin(), partition_of_.end(), 0);
    report_.partitions.resize(partition_of_.size());
    report_.stats.partitions = partition_of_.size();
    open_ = partition_of_.size();
  }

  Supply supply(std::uint64_t) override {
    return {partition_of_.size(), open_ == 0 || has_error(), has_error()};
  }
  void fail(std::uint64_t task, Failure failure) override {
    --open_;
    if (!lowest_ || task < lowest_->task()) lowest_.emplace(std::move(failure));
  }
  [[nodiscard]] bool wants(std::uint64_t task) const override {
    return !lowest_ || task < lowest_->task();
  }
  [[nodiscard]] std::string place_of(std::uint64_t task) const override {
    return step() + (" of part " + std::to_string(partition_of_[task])) + " of the keys";
  }
  [[nodiscard]] Progress progress(const Progress& tasks) const override {
    Progress all = report_.mapped;
    all.elapsed += tasks.elapsed;
    all.reducing = tasks.elapsed;
    all.reduced = report_.partitions.size() - open_;
    all.spilled = runs_.bytes_on_disk() + store_.bytes_on_disk();
    return all;
  }
  void narrow(std::uint64_t, std::uint64_t, bool again) override {
    if (again) ++report_.stats.retried;
  }

  void finish(const RunReport& report) {
    raise(report);
    if (lowest_) lowest_->raise();
  }

 private:
  void encode_part(std::uint64_t task, ByteWriter& out) const override {
    out.put(runs_.ticket_to_write());  // of what there is no room for in memory meanwhile
    out.put(static_cast<std::uint64_t>(report_.runs.size()));
    for (const SealedRun& run : report_.runs) out.put(run.slices[partition_of_[task]]);
  }
  void accept(std::uint64_t task, ByteReader& answer) override {
    const auto head = answer.get<ReduceAnswer>();
    std::vector<Slice> slices = get_slices(answer, head.slices);
    expect_end(answer);
    report_.partitions[partition_of_[task]] = std::move(slices);
    report_.stats.keys += head.keys;
    const std::uint64_t now =
        runs_.bytes(kInMemory) + store_.bytes(kInMemory) + head.table_bytes * workers_;
    report_.stats.peak_bytes = std::max(report_.stats.peak_bytes, now);
    --open_;
  }
  [[nodiscard]] RunStore& store_of(std::uint32_t job) const override {
    return job == runs_.ticket().job ? runs_ : KeyedPhase::store_of(job);
  }
  void let_go(std::uint64_t) override { --open_; }
  void do_again(std::uint64_t task) override { partition_of_.push_back(partition_of_[task]); }

  RunStore& runs_;
  const std::uint64_t workers_;
  KeyedReport& report_;
  std::vector<std::size_t> partition_of_;  ///< tasks: one is done by another if it found no room
  std::uint64_t open_ = 0;                 ///< partitions that are not done
  std::optional<Failure> lowest_;
};

}  // namespace

void run_reduce_phase(Engine& engine, const KeyedCallable& callable, const KeyedPlan& plan,
                      RunStore& runs, RunStore& result, std::size_t partitions,
                      const CallOptions& options, KeyedReport& report) {
  const auto workers = static_cast<std::uint64_t>(engine.workers());
  ReducePhase phase(callable, plan, runs, result, partitions, workers, report);
  phase.finish(engine.run(phase, options));
}

}  // namespace bulkhead::detail
