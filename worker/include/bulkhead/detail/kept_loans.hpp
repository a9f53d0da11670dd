// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace bulkhead::detail {

struct BroadcastMemory;

/// While it lasts, what this thread encodes of broadcasts is held: encoded bytes only refer to it.
class KeptLoans {
 public:
  using Loans = std::vector<std::shared_ptr<BroadcastMemory>>;

  KeptLoans();
  KeptLoans(const KeptLoans&) = delete;
  KeptLoans& operator=(const KeptLoans&) = delete;
  ~KeptLoans();

  void keep(const std::shared_ptr<BroadcastMemory>& memory) { kept_.push_back(memory); }
  /// What is to be held for longer.
  [[nodiscard]] Loans take() { return std::move(kept_); }

 private:
  Loans kept_;
  KeptLoans* before_;
};

}  // namespace bulkhead::detail
