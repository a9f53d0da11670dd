// SPDX-License-Identifier: MIT
//
// Types that serialize themselves, in all the ways that need no more than our own archives.
#include <bulkhead/codec.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace town {

/// By functions beside it.
struct Street {
  std::string name;
  std::array<int, 2> numbers{};
  bool operator==(const Street&) const = default;
};
template <class Archive>
void serialize(Archive& archive, Street& street) {
  archive(street.name, street.numbers);
}

/// By save() and load() beside it, with the operators that other libraries have.
struct House {
  Street street;
  double height = 0;
  bool operator==(const House&) const = default;
};
template <class Archive>
void save(Archive& archive, const House& house) {
  archive << house.street << house.height * 2;
}
template <class Archive>
void load(Archive& archive, House& house) {
  archive >> house.street >> house.height;
  house.height /= 2;
}

/// A C array, a member that knows the direction, an operator that is the same for both.
class Grid {
 public:
  Grid() = default;
  explicit Grid(int n) : cells_{n, n + 1, n + 2} {}
  bool operator==(const Grid& other) const {
    return std::equal(std::begin(cells_), std::end(cells_), other.cells_);
  }
  [[nodiscard]] bool was_loaded() const { return loaded_; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive& cells_& names_;
    if constexpr (Archive::is_loading::value) loaded_ = true;
  }

 private:
  int cells_[3] = {};
  std::vector<std::string> names_;
  bool loaded_ = false;
};

/// Two ways at once: which is meant, only cereal can be told.
struct Twofold {
  std::string text;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text);
  }
  template <class Archive>
  void save(Archive& archive) const {
    archive(text);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(text);
  }
};

}  // namespace town

namespace bulkhead {
namespace {

static_assert(Encodable<town::Street> && Encodable<town::House> && Encodable<town::Grid>);
static_assert(!Encodable<town::Twofold>);

template <class T>
T there_and_back(const T& value) {
  detail::SpillWriter out({});
  Codec<T>::encode(value, out);
  const std::vector<std::byte> bytes = out.take();
  SpanReader in(bytes);
  T result = Codec<T>::decode(in);
  EXPECT_TRUE(in.exhausted());
  return result;
}

TEST(SelfCoded, TypesComeBackByTheFunctionsBesideThem) {
  const town::House house{{"Long Lane", {7, 9}}, 12.5};
  EXPECT_EQ(there_and_back(house), house);
  EXPECT_EQ(there_and_back(std::vector<town::House>{house, {}})[0], house);
}

TEST(SelfCoded, ArchivesTellTheirDirection) {
  const town::Grid grid = there_and_back(town::Grid(4));
  EXPECT_EQ(grid, town::Grid(4));
  EXPECT_TRUE(grid.was_loaded());
}

}  // namespace
}  // namespace bulkhead
