// SPDX-License-Identifier: MIT
//
// Any bytes as a value of any type: they make a value or an exception, in memory that the bytes
// could fill, and what they make can be encoded and comes back as it was.
#include "tests/fuzz/budget.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/serialization/codec_types.hpp"
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/remote_error.hpp>

#include <array>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>

namespace bulkhead::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

/// For each byte: an element that is encoded in one, three times over while its vector grows.
/// For nothing: as many elements as are believed without proof, in a string of cereal's.
constexpr std::size_t kBudgetPerByte = 512;
constexpr std::size_t kBudgetForNothing = std::size_t{1} << 20;

std::size_t budget_for(Bytes bytes) {
  return kBudgetPerByte * bytes.size() + kBudgetForNothing;
}

/// Runs `step`. False if it threw: anything but what follows from too large a claim.
template <class Step>
bool survives(Step step) {
  try {
    step();
    return true;
  } catch (const std::bad_alloc&) {
    require(false, "no memory is asked for that there cannot be");
  } catch (const std::length_error&) {
    require(false, "no container is made larger than it can be");
  } catch (const std::exception&) {
    return false;
  }
  return false;
}

template <class T>
std::optional<T> value_of(Bytes bytes) {
  const Budget budget(budget_for(bytes));
  std::optional<T> value;
  survives([&] { value.emplace(decoded<T>(bytes)); });
  return value;
}

/// How the values of a type are known to be the same.
template <class T>
void by_value(Bytes bytes) {
  const std::optional<T> first = value_of<T>(bytes);
  if (!first) return;
  const std::vector<std::byte> again = encoded(*first);
  require(*first == decoded<T>(again), "what was decoded comes back as the same value");
}

/// For types that are not compared, or not equal to themselves.
template <class T>
void by_bytes(Bytes bytes) {
  const std::optional<T> first = value_of<T>(bytes);
  if (!first) return;
  const std::vector<std::byte> again = encoded(*first);
  require(encoded(decoded<T>(again)) == again, "what was decoded comes back as the same bytes");
}

/// Throws the failure and catches it, as a caller of map() would.
void raise(const Failure& failure) {
  try {
    failure.raise();
  } catch (const std::exception& error) {
    require(std::string(error.what()) == failure.what().c_str(),
            "what is caught tells what happened");
  }
}

void exception(Bytes bytes) {
  std::optional<detail::FailureDetails> details;
  {
    const Budget budget(budget_for(bytes));
    SpanReader in(bytes);
    if (!survives([&] { details = detail::decode_exception(in); })) return;
  }
  detail::SpillWriter out({});
  detail::encode_exception(*details, out);
  const std::vector<std::byte> again = out.take();
  SpanReader in(again);
  const detail::FailureDetails second = detail::decode_exception(in);
  require(in.exhausted(), "an exception is read to its end");
  require(second.kind == details->kind && second.standard_type == details->standard_type &&
              second.type_name == details->type_name && second.message == details->message &&
              second.category == details->category && second.error_value == details->error_value &&
              second.nested == details->nested,
          "an exception comes back as it was");
  raise(Failure(*std::move(details)));
}

/// A result that comes in pieces. Of the bytes that are to come the memory is only reserved, so
/// what is claimed here is cut to what a machine surely has addresses for.
template <class R>
void pieces(Bytes bytes) {
  std::vector<std::byte> message(bytes.begin(), bytes.end());
  if (message.size() >= 8) std::fill(message.begin() + 3, message.begin() + 8, std::byte{0});
  Bytes left(message);
  constexpr std::size_t kMostReserved = (std::size_t{1} << 24) * sizeof(typename R::value_type);
  const Budget budget(kMostReserved + budget_for(bytes));
  survives([&] {
    detail::PieceBuffer<R> buffer;
    while (!left.empty()) {
      const std::size_t size = 1 + std::to_integer<std::size_t>(left.front()) % left.size();
      buffer.add(left.first(size));
      left = left.subspan(size);
    }
    const R value = buffer.finish();
    require(value == decoded<R>(message), "in pieces it is the same as in one");
  });
}

using Cell = std::array<std::uint64_t, 4>;
using Any = std::variant<std::monostate, int, std::string, std::vector<Colour>>;
using Tree = std::map<std::string, std::vector<std::map<std::uint8_t, std::string>>>;

constexpr std::array kTypes{
    by_value<bool>,
    by_value<std::int64_t>,
    by_value<Colour>,
    by_value<std::string>,
    by_value<std::u16string>,
    by_value<std::vector<std::uint8_t>>,
    by_value<std::vector<std::int64_t>>,
    by_value<std::vector<bool>>,
    by_value<std::vector<std::string>>,
    by_value<std::vector<std::vector<std::uint16_t>>>,
    by_value<std::deque<int>>,
    by_value<std::list<std::string>>,
    by_value<std::set<std::string>>,
    by_value<std::multiset<std::uint8_t>>,
    by_value<std::map<std::string, std::vector<int>>>,
    by_value<std::multimap<std::uint8_t, std::uint8_t>>,
    by_value<std::unordered_map<int, std::string>>,
    by_value<std::unordered_set<std::uint8_t>>,
    by_value<Tree>,
    by_value<std::pair<std::string, int>>,
    by_value<std::tuple<int, std::string, bool>>,
    by_value<std::array<std::uint16_t, 3>>,
    by_value<std::array<std::string, 2>>,
    by_value<std::optional<std::string>>,
    by_value<std::vector<std::optional<Cell>>>,
    by_value<Any>,
    by_value<std::vector<Any>>,
    by_value<Person>,
    by_value<std::vector<Person>>,
    by_value<std::map<std::string, Person>>,
    by_value<Named>,
    by_value<Versioned>,
    by_bytes<double>,
    by_bytes<std::vector<Point>>,
    by_bytes<Celsius>,
    by_bytes<Chain>,
    by_bytes<std::unique_ptr<Person>>,
    by_bytes<Siblings>,
    by_bytes<std::vector<std::shared_ptr<Person>>>,
    by_bytes<std::tuple<std::shared_ptr<int>, std::shared_ptr<std::string>>>,
    by_bytes<std::shared_ptr<std::vector<std::string>>>,
    by_bytes<std::shared_ptr<std::map<std::string, int>>>,
    by_bytes<std::shared_ptr<std::deque<int>>>,
    by_bytes<std::vector<std::unique_ptr<Shape>>>,
    pieces<std::string>,
    pieces<std::vector<std::uint32_t>>,
    exception,
};

}  // namespace
}  // namespace bulkhead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead::fuzz;
  Input input(data, size);
  const std::size_t type = input.choice(kTypes.size());
  kTypes.at(type)(input.rest());
  return 0;
}
