// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// While it lasts, what this thread encodes of broadcasts and shared state is held: encoded bytes
/// only refer to it.
class KeptLoans {
 public:
  using Loans = std::vector<std::shared_ptr<const void>>;

  KeptLoans();
  KeptLoans(const KeptLoans&) = delete;
  KeptLoans& operator=(const KeptLoans&) = delete;
  ~KeptLoans();

  void keep(std::shared_ptr<const void> memory) { kept_.push_back(std::move(memory)); }
  /// That of this thread; null if there is none.
  [[nodiscard]] static KeptLoans* present();
  /// What is to be held for longer.
  [[nodiscard]] Loans take() { return std::move(kept_); }

 private:
  Loans kept_;
  KeptLoans* before_;
};

}  // namespace bulkhead::detail
