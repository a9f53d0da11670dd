// SPDX-License-Identifier: MIT
//
// Codecs that throw: four places (argument and result, writing and reading), each of which costs
// the one task, and no worker.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <cstdint>
#include <dlfcn.h>
#include <functional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::workers_of;
using ::testing::HasSubstr;
using ::testing::SizeIs;

enum class Flaw : std::uint8_t {
  none,
  encode_throws,      ///< after half of the bytes
  decode_throws,      ///< after half of the bytes
  encode_throws_int,  ///< what is no std::exception
  decode_reads_less,  ///< bytes are left over
  decode_reads_more,  ///< more than there are
  claims_too_many,    ///< a size that cannot be
};

/// Some bytes that go wrong on their way if they are told to.
struct Parcel {
  Flaw flaw = Flaw::none;
  std::string bytes;
  bool operator==(const Parcel&) const = default;
};

}  // namespace

template <>
struct Codec<Parcel> {
  static void encode(const Parcel& parcel, ByteWriter& out) {
    out.put(parcel.flaw);
    const bool lie = parcel.flaw == Flaw::claims_too_many;
    out.put(lie ? std::uint64_t{1} << 60 : std::uint64_t{parcel.bytes.size()});
    out.write(parcel.bytes.data(), parcel.bytes.size() / 2);
    if (parcel.flaw == Flaw::encode_throws) throw std::range_error("cannot be encoded");
    if (parcel.flaw == Flaw::encode_throws_int) throw 5;
    out.write(parcel.bytes.data() + parcel.bytes.size() / 2,
              parcel.bytes.size() - parcel.bytes.size() / 2);
  }
  static Parcel decode(ByteReader& in) {
    Parcel parcel;
    parcel.flaw = in.get<Flaw>();
    const auto size = in.get<std::uint64_t>();
    in.expect(size, 1);
    parcel.bytes.resize(size);
    in.read(parcel.bytes.data(), size / 2);
    if (parcel.flaw == Flaw::decode_throws) throw std::underflow_error("cannot be decoded");
    if (parcel.flaw == Flaw::decode_reads_less) return parcel;
    in.read(parcel.bytes.data() + size / 2, size - size / 2);
    if (parcel.flaw == Flaw::decode_reads_more) (void)in.get<std::uint64_t>();
    return parcel;
  }
};

namespace {

/// Makes parcels of a size; some fit into a ring and some stream through it.
class CodecFaultTest : public test::ProcessTest, public ::testing::WithParamInterface<std::size_t> {
 protected:
  [[nodiscard]] static Parcel parcel(Flaw flaw) { return {flaw, std::string(GetParam(), 'p')}; }
};

INSTANTIATE_TEST_SUITE_P(Sizes, CodecFaultTest, ::testing::Values(0, 100, 5000, 3'000'000));

std::size_t weigh(const Parcel& parcel) {
  return parcel.bytes.size();
}

Parcel wrap(int flaw, std::size_t size) {
  return {static_cast<Flaw>(flaw), std::string(size, 'p')};
}

/// Every third element is flawed; expects that those fail, with a text, and the others do not.
template <class Outcomes>
void expect_every_third_failed(const Outcomes& outcomes, const std::string& text) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_EQ(outcomes[i].has_value(), i % 3 != 1) << i;
    if (outcomes[i]) continue;
    EXPECT_EQ(outcomes[i].failure().kind(), FailureKind::exception);
    EXPECT_EQ(outcomes[i].failure().task(), i);
    EXPECT_THAT(outcomes[i].failure().what(), HasSubstr(text));
  }
}

// Row 46: ser-arg-throws.
TEST_P(CodecFaultTest, AnArgumentThatCannotBeEncodedFailsItsTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const std::set<int> workers = workers_of(pool);
  std::vector<Parcel> parcels;
  for (int i = 0; i < 60; ++i) {
    parcels.push_back(parcel(i % 3 == 1 ? Flaw::encode_throws : Flaw::none));
  }
  const auto outcomes = pool.try_map(weigh, parcels);
  ASSERT_THAT(outcomes, SizeIs(60));
  expect_every_third_failed(outcomes, "while encoding the argument: cannot be encoded");
  EXPECT_EQ(outcomes[1].failure().worker_pid(), 0) << "no worker has seen it";
  EXPECT_THROW((void)pool.map(weigh, parcels), std::range_error);
  EXPECT_EQ(workers_of(pool), workers);
}

// Row 49: deser-arg-throws.
TEST_P(CodecFaultTest, AnArgumentThatCannotBeDecodedFailsItsTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const std::set<int> workers = workers_of(pool);
  std::vector<Parcel> parcels;
  for (int i = 0; i < 60; ++i) {
    parcels.push_back(parcel(i % 3 == 1 ? Flaw::decode_throws : Flaw::none));
  }
  const auto outcomes = pool.try_map(weigh, parcels);
  ASSERT_THAT(outcomes, SizeIs(60));
  expect_every_third_failed(outcomes, "while decoding the argument: cannot be decoded");
  EXPECT_THROW((void)pool.map(weigh, parcels), std::underflow_error);
  EXPECT_EQ(workers_of(pool), workers);
}

// Row 50: ser-res-throws, many times in a row.
TEST_P(CodecFaultTest, AResultThatCannotBeEncodedFailsItsTask) {
  Pool pool(Options{.workers = 1, .ring_bytes = 4096});
  const std::set<int> workers = workers_of(pool);
  const auto flawed = partial(
      [](std::size_t size, int i) {
        return wrap(static_cast<int>(i % 3 == 1 ? Flaw::encode_throws : Flaw::none), size);
      },
      GetParam());
  const auto outcomes = pool.try_map(flawed, test::numbers(0, 60));
  ASSERT_THAT(outcomes, SizeIs(60));
  expect_every_third_failed(outcomes, "while encoding the result: cannot be encoded");
  EXPECT_EQ(outcomes[0]->bytes.size(), GetParam());
  EXPECT_EQ(workers_of(pool), workers);
}

// Row 51: deser-res-throws.
TEST_P(CodecFaultTest, AResultThatCannotBeDecodedFailsItsTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const std::set<int> workers = workers_of(pool);
  const auto flawed = partial(
      [](std::size_t size, int i) {
        return wrap(static_cast<int>(i % 3 == 1 ? Flaw::decode_throws : Flaw::none), size);
      },
      GetParam());
  const auto outcomes = pool.try_map(flawed, test::numbers(0, 60));
  ASSERT_THAT(outcomes, SizeIs(60));
  expect_every_third_failed(outcomes, "while decoding the result: cannot be decoded");
  EXPECT_EQ(outcomes[0]->bytes.size(), GetParam());
  EXPECT_EQ(workers_of(pool), workers);
  EXPECT_EQ(pool.map(weigh, std::vector{parcel(Flaw::none)})[0], GetParam());
}

TEST_P(CodecFaultTest, BytesThatDoNotMakeAValueFailTheirTask) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const std::set<int> workers = workers_of(pool);
  for (const Flaw flaw :
       {Flaw::decode_reads_less, Flaw::decode_reads_more, Flaw::claims_too_many}) {
    if (GetParam() == 0 && flaw == Flaw::decode_reads_less) continue;
    // The sanitizers end a process that asks for so much.
    if (test::kSanitized && flaw == Flaw::claims_too_many) continue;
    std::vector<Parcel> parcels(9, parcel(Flaw::none));
    for (const std::size_t i : {1U, 4U, 7U}) parcels[i].flaw = flaw;
    expect_every_third_failed(pool.try_map(weigh, parcels), "while decoding the argument");
    const auto back = partial(
        [](std::size_t size, int its_flaw, int i) { return wrap(i % 3 == 1 ? its_flaw : 0, size); },
        GetParam(), static_cast<int>(flaw));
    expect_every_third_failed(pool.try_map(back, test::numbers(0, 9)), "while decoding the result");
  }
  EXPECT_EQ(workers_of(pool), workers);
}

TEST_P(CodecFaultTest, WhatIsNoStdExceptionIsCaughtInACodecToo) {
  Pool pool(Options{.workers = 1, .ring_bytes = 4096});
  const std::vector<Parcel> parcels{parcel(Flaw::encode_throws_int), parcel(Flaw::none)};
  const auto outcomes = pool.try_map(weigh, parcels);
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_EQ(outcomes[0].failure().type_name(), "int");
  EXPECT_EQ(*outcomes[1], GetParam());
}

// Row 47: ser-arg-throws-many.
TEST_P(CodecFaultTest, FailedArgumentsGiveTheirRoomBack) {
  Pool pool(Options{.workers = 1, .ring_bytes = 4096});
  const std::size_t each = GetParam() > 10'000 ? 10 : 100;
  std::vector<Parcel> parcels(each, parcel(Flaw::encode_throws));
  parcels.resize(2 * each, parcel(Flaw::none));
  const auto outcomes = pool.try_map(weigh, parcels);
  ASSERT_THAT(outcomes, SizeIs(2 * each));
  for (std::size_t i = 0; i < 2 * each; ++i) EXPECT_EQ(outcomes[i].has_value(), i >= each) << i;
}

// Row 48: ser-arg-throws-shutdown.
TEST_P(CodecFaultTest, APoolEndsInOrderAfterAFailedArgument) {
  for (const bool in_order : {true, false}) {
    Pool pool(2);
    EXPECT_THROW((void)pool.map(weigh, std::vector{parcel(Flaw::encode_throws)}), std::range_error);
    if (!in_order) continue;
    pool.close();
    pool.join();
  }
}

// ---------------------------------------------------------------------------------------------

using CallableFaultTest = test::ProcessTest;

/// A functor whose state goes wrong.
class Flawed {
 public:
  Flawed() = default;
  explicit Flawed(Flaw flaw, std::size_t size = 0) : parcel_{flaw, std::string(size, 's')} {}
  std::size_t operator()(int x) const { return parcel_.bytes.size() + static_cast<std::size_t>(x); }

  template <class Archive>
  void save(Archive& archive) const {
    if (parcel_.flaw == Flaw::encode_throws) throw std::range_error("state cannot be encoded");
    archive(static_cast<int>(parcel_.flaw), parcel_.bytes);
  }
  template <class Archive>
  void load(Archive& archive) {
    int flaw = 0;
    archive(flaw, parcel_.bytes);
    if (flaw == static_cast<int>(Flaw::decode_throws))
      throw std::range_error("state is unreadable");
  }

 private:
  Parcel parcel_;
};

TEST_F(CallableFaultTest, StateThatCannotBeEncodedIsAnErrorOfTheCall) {
  Pool pool(2);
  EXPECT_THROW((void)pool.map(Flawed(Flaw::encode_throws), std::vector{1}), std::range_error);
  EXPECT_THROW((void)pool.try_map(Flawed(Flaw::encode_throws), std::vector{1}), std::range_error);
  EXPECT_EQ(pool.apply(Flawed(Flaw::none), 1), 1U);
}

TEST_F(CallableFaultTest, StateThatCannotBeDecodedFailsEachTaskOfTheCall) {
  Pool pool(2);
  const std::set<int> workers = workers_of(pool);
  const auto outcomes = pool.try_map(Flawed(Flaw::decode_throws), test::numbers(0, 100));
  ASSERT_THAT(outcomes, SizeIs(100));
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().kind(), FailureKind::exception);
    EXPECT_THAT(outcome.failure().what(), HasSubstr("state is unreadable"));
  }
  EXPECT_EQ(pool.apply(Flawed(Flaw::none), 1), 1U);
  EXPECT_EQ(workers_of(pool), workers);
}

TEST_F(CallableFaultTest, StateMayBeLargerThanTheRing) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  const auto results = pool.map(Flawed(Flaw::none, 1'000'000), test::numbers(0, 100));
  ASSERT_THAT(results, SizeIs(100));
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(results[i], 1'000'000 + i);
}

/// A library of which the program does not know, with a function in it.
class LateLibrary {
 public:
  using Function = int (*)();
  LateLibrary() : handle_(::dlopen("libthread_db.so.1", RTLD_LAZY)) {}
  LateLibrary(const LateLibrary&) = delete;
  LateLibrary& operator=(const LateLibrary&) = delete;
  ~LateLibrary() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  [[nodiscard]] bool found() const { return handle_ != nullptr; }
  /// Gives 0.
  [[nodiscard]] Function function() const {
    return reinterpret_cast<Function>(::dlsym(handle_, "td_init"));
  }

 private:
  void* handle_;
};

// Row 52: unserialisable-fn.
TEST_F(CallableFaultTest, AFunctionOfAModuleThatWasLoadedLaterIsAnErrorThatNamesTheModule) {
  Pool pool(2);
  const LateLibrary library;
  if (!library.found()) GTEST_SKIP() << "libthread_db, a part of glibc, is not installed";
  try {
    pool.apply(library.function());
    ADD_FAILURE() << "the workers cannot have this function";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("libthread_db"));
    EXPECT_THAT(error.what(), HasSubstr("after"));
  }
  EXPECT_EQ(pool.apply([] { return 3; }), 3) << "the pool goes on";
  Pool later(Options{.workers = 1, .start = StartMethod::fork});
  EXPECT_EQ(later.apply(library.function()), 0) << "a pool forked afterwards has it";
}

TEST_F(CallableFaultTest, ASubmissionThatIsRefusedLeavesThePoolAsItWas) {
  Pool pool(2);
  const LateLibrary library;
  if (!library.found()) GTEST_SKIP() << "libthread_db, a part of glibc, is not installed";
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(static_cast<void>(pool.apply_async(library.function())), Error);
    EXPECT_EQ(pool.apply_async([] { return 3; }).get(), 3);
    EXPECT_EQ(pool.apply([] { return 4; }), 4);
  }
  pool.close();
  pool.join();
}

TEST_F(CallableFaultTest, AFunctionOfALateModuleInsideAPartialFailsItsTasks) {
  Pool pool(2);
  const LateLibrary library;
  if (!library.found()) GTEST_SKIP() << "libthread_db, a part of glibc, is not installed";
  try {
    pool.apply(partial(library.function()));
    ADD_FAILURE() << "the workers cannot have this function";
  } catch (const RemoteError& error) {
    EXPECT_THAT(error.what(), HasSubstr("loaded after"));
  }
  EXPECT_EQ(pool.apply([] { return 3; }), 3) << "the pool goes on";
}

}  // namespace
}  // namespace bulkhead
