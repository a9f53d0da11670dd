// SPDX-License-Identifier: MIT
#include "tests/support/tree.hpp"
#include <bulkhead/detail/reduce_plan.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using test::bracketed;

NodeBytes node(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {{bytes.begin(), bytes.end()}};
}
std::string text_of(const NodeBytes& node) {
  return {reinterpret_cast<const char*>(node.view().data()), node.view().size()};
}
std::string leaf(std::uint64_t element) {
  return std::to_string(element);
}

/// What a worker makes of nodes that come one after another.
class Worker {
 public:
  void add(const std::string& value, std::uint64_t count) {
    nodes_.push_back({value, count});
    while (nodes_.size() > 1 && nodes_[nodes_.size() - 2].count == nodes_.back().count) join();
  }
  std::vector<NodeBytes> whole() {
    while (nodes_.size() > 1) join();
    return all();
  }
  std::vector<NodeBytes> all() {
    std::vector<NodeBytes> bytes;
    for (const auto& each : nodes_) bytes.push_back(node(each.value));
    return bytes;
  }

 private:
  struct Node {
    std::string value;
    std::uint64_t count;
  };
  void join() {
    const Node right = nodes_.back();
    nodes_.pop_back();
    nodes_.back() = {bracketed(nodes_.back().value, right.value),
                     nodes_.back().count + right.count};
  }
  std::vector<Node> nodes_;
};

/// Runs the steps of a plan in any order, with blocks of any size, some of which end half-way, and
/// steps that fail and are run again.
class Luck {
 public:
  Luck(std::uint64_t elements, bool singly, unsigned seed)
      : elements_(elements), singly_(singly), plan_(singly), random_(seed) {}

  /// Fails for good at these elements.
  void poison(std::vector<std::uint64_t> elements) { poisoned_ = std::move(elements); }

  void run() {
    for (;;) {
      if (out_.size() < kMostOut && is_true() && make_step()) continue;
      if (!out_.empty()) {
        end_step();
      } else if (!make_step() && plan_.complete()) {
        break;
      }
    }
  }

  std::string result = "none";
  std::optional<std::uint64_t> lowest;  ///< failure
  std::uint64_t most_waiting = 0;
  std::uint64_t most_parts = 0;

 private:
  static constexpr std::size_t kMostOut = 32;

  bool is_true() { return random_() % 2 == 0; }

  bool make_step() {
    const std::uint64_t before = plan_.known();
    const Elements next = plan_.next_block();
    if (next.count != 0) {
      const std::uint64_t most = singly_ ? 1 : std::uint64_t{1} << random_() % 6;
      if (!plan_.has_leftovers()) {
        const std::uint64_t known = std::min(next.first + most, elements_);
        plan_.extend(known, known == elements_ && is_true());
        if (known == elements_ && next.first == known) plan_.extend(known, true);
      }
      plan_.give(most);
    } else {
      plan_.conclude();
    }
    for (std::uint64_t step = before; step < plan_.known(); ++step) out_.push_back(step);
    return plan_.known() != before;
  }

  void end_step() {
    const std::size_t at = random_() % out_.size();
    const std::uint64_t step = out_[at];
    const std::uint64_t before = plan_.known();
    if (!plan_.is_wanted(step)) {
      plan_.drop(step);
      out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    }
    const ReducePlan::Step& todo = *plan_.find(step);
    most_parts = std::max<std::uint64_t>(most_parts, todo.parts.size());
    if (random_() % 8 == 0) {
      plan_.narrow(step, todo.elements.first + random_() % todo.elements.count, true);
      return;
    }
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(at));
    finish(step, todo);
    for (std::uint64_t more = before; more < plan_.known(); ++more) out_.push_back(more);
    most_waiting = std::max(most_waiting, plan_.waiting());
  }

  void finish(std::uint64_t step, const ReducePlan::Step& todo) {
    const Elements elements = todo.elements;
    if (const auto bad = poison_in(todo)) {
      lowest = std::min(lowest.value_or(*bad), *bad);
      plan_.narrow(step, *bad, false);
      return plan_.fail(step);
    }
    Worker worker;
    if (todo.parts.empty()) {
      const std::uint64_t done = 1 + random_() % elements.count;
      for (std::uint64_t i = 0; i < done; ++i) worker.add(leaf(elements.first + i), 1);
      return plan_.finish(step, done, done == elements.count ? worker.whole() : worker.all());
    }
    for (const auto& part : todo.parts) worker.add(text_of(part.node), part.count);
    const bool last = todo.last;
    auto whole = worker.whole();
    if (last) result = bracketed("init", text_of(whole.at(0)));
    plan_.finish(step, elements.count, std::move(whole));
  }

  /// The first element of a block that is to fail.
  [[nodiscard]] std::optional<std::uint64_t> poison_in(const ReducePlan::Step& todo) const {
    const auto is_poisoned = [this](std::uint64_t element) {
      return std::find(poisoned_.begin(), poisoned_.end(), element) != poisoned_.end();
    };
    std::uint64_t end = todo.elements.first;
    if (todo.parts.empty()) {
      for (; end != todo.elements.end(); ++end) {
        if (is_poisoned(end)) return end;
      }
    }
    return std::nullopt;
  }

  const std::uint64_t elements_;
  const bool singly_;
  ReducePlan plan_;
  std::mt19937 random_;
  std::vector<std::uint64_t> out_;
  std::vector<std::uint64_t> poisoned_;
};

std::string expected(std::uint64_t elements) {
  std::vector<std::string> leaves;
  for (std::uint64_t i = 0; i < elements; ++i) leaves.push_back(leaf(i));
  return elements == 0 ? "none" : test::tree_of(leaves, bracketed, std::string("init"));
}

TEST(ReducePlan, GivesTheSameTreeWhateverTheLuck) {
  for (const std::uint64_t elements :
       {0U, 1U, 2U, 3U, 5U, 7U, 8U, 9U, 31U, 63U, 64U, 65U, 100U, 127U, 700U}) {
    for (unsigned seed = 0; seed < 30; ++seed) {
      Luck luck(elements, false, seed);
      luck.run();
      ASSERT_EQ(luck.result, expected(elements)) << elements << " elements, seed " << seed;
    }
  }
}

TEST(ReducePlan, CallsOneFunctionInAStepWhereThatIsAskedFor) {
  for (const std::uint64_t elements : {1U, 2U, 3U, 6U, 7U, 8U, 13U, 200U}) {
    for (unsigned seed = 0; seed < 20; ++seed) {
      Luck luck(elements, true, seed);
      luck.run();
      ASSERT_EQ(luck.result, expected(elements)) << elements << " elements, seed " << seed;
      EXPECT_LE(luck.most_parts, 2U);
    }
  }
}

TEST(ReducePlan, FindsTheLowestFailureWhateverTheLuck) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    Luck luck(300, false, seed);
    luck.poison({299, 250, 77, 140});
    luck.run();
    EXPECT_EQ(luck.result, "none");
    EXPECT_EQ(luck.lowest, 77U) << "seed " << seed;
  }
}

TEST(ReducePlan, HoldsFewNodes) {
  Luck luck(20'000, false, 1);
  luck.run();
  EXPECT_LE(luck.most_waiting, 1000U);  // it does not depend on the number of elements
}

TEST(ReducePlan, CombinesWhatComesBeforeAFailure) {
  ReducePlan plan(false);
  plan.extend(8, true);
  for (int i = 0; i < 8; ++i) plan.give(1);
  for (std::uint64_t step = 0; step < 6; ++step) {
    std::vector<NodeBytes> one;
    one.push_back(node(leaf(step)));
    plan.finish(step, 1, std::move(one));
  }
  plan.fail(6);
  EXPECT_FALSE(plan.is_wanted(7));
  plan.drop(7);
  ASSERT_TRUE(plan.conclude());
  EXPECT_EQ(plan.find(8)->elements, (Elements{0, 4}));
  EXPECT_EQ(plan.find(9)->elements, (Elements{4, 2}));
  EXPECT_FALSE(plan.complete());
}

TEST(ReducePlan, RefusesAnswersThatCannotBe) {
  ReducePlan plan(false);
  plan.extend(8, true);
  ASSERT_TRUE(plan.give(8));
  EXPECT_THROW(plan.finish(0, 8, {}), DecodeError);
  EXPECT_THROW(plan.finish(0, 0, {}), DecodeError);
  std::vector<NodeBytes> one;
  one.push_back(node("x"));
  EXPECT_THROW(plan.finish(0, 9, one), DecodeError);
  EXPECT_THROW(plan.finish(0, 3, one), DecodeError);
  EXPECT_NO_THROW(plan.finish(0, 4, one));
  EXPECT_EQ(plan.next_block(), (Elements{4, 4}));
}

}  // namespace
}  // namespace bulkhead::detail
