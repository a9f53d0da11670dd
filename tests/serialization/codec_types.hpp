// SPDX-License-Identifier: MIT
//
// Values of many types, to bytes and back.
#pragma once

#include "tests/support/percent.hpp"
#include <bulkhead/cereal.hpp>
#include <bulkhead/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cereal/types/base_class.hpp>
#include <cereal/types/polymorphic.hpp>
#include <gtest/gtest.h>

namespace bulkhead {

enum class Colour : std::uint8_t { red, green, blue };
enum Plain { kFirst = 1, kSecond = 2 };

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Padded {
  char letter = 0;
  double number = 0;
  std::uint16_t tail = 0;
  bool operator==(const Padded&) const = default;
};

struct Empty {
  bool operator==(const Empty&) const = default;
};

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  int number;
  bool operator==(const NoDefault&) const = default;
};

struct Person {
  std::string name;
  int age = 0;
  std::vector<Colour> favourites;
  bool operator==(const Person&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, age, favourites);
  }
};

/// Keeps 1 / value in its encoding: save() and load() differ.
class Inverse {
 public:
  Inverse() = default;
  explicit Inverse(double value) : value_(value) {}
  bool operator==(const Inverse&) const = default;

  template <class Archive>
  void save(Archive& archive) const {
    archive(1 / value_);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(value_);
    value_ = 1 / value_;
  }

 private:
  double value_ = 1;
};

/// Trivially copyable, but with a serialize() of its own, which forgets the cache.
struct Cached {
  int value = 0;
  int cache = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

struct Siblings {
  std::shared_ptr<Person> first;
  std::shared_ptr<Person> second;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(first, second);
  }
};

struct Chain {
  int number = 0;
  std::unique_ptr<Chain> next;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(number, next);
  }
};

struct Shape {
  virtual ~Shape() = default;
  [[nodiscard]] virtual double area() const = 0;
  template <class Archive>
  void serialize(Archive&) {}
};

struct Square : Shape {
  double side = 0;
  [[nodiscard]] double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Shape>(this), side);
  }
};

/// Private, and with a version: only cereal can call it.
class Versioned {
 public:
  Versioned() = default;
  explicit Versioned(int n) : text_(std::to_string(n)) {}
  bool operator==(const Versioned&) const = default;

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive, std::uint32_t version) {
    if (version == 3) archive(text_);
  }
  std::string text_;
};

/// Uses a wrapper of cereal's.
struct Named {
  std::string name;
  int age = 0;
  bool operator==(const Named&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(name), cereal::make_nvp("years", age));
  }
};

/// No codec: not trivially copyable, and unknown to cereal.
struct NoCodec {
  std::string text;
};

/// Has a codec of the user's: one byte, 20 to 60 degrees.
struct Celsius {
  explicit Celsius(double d) : degrees(d) {}
  double degrees;
};
template <>
struct Codec<Celsius> {
  static void encode(const Celsius& value, ByteWriter& out) {
    out.put(static_cast<std::uint8_t>(value.degrees));
  }
  static Celsius decode(ByteReader& in) {
    const auto degrees = in.get<std::uint8_t>();
    if (degrees < 20 || degrees > 60) throw std::range_error("too cold or too hot");
    return Celsius(degrees);
  }
};

}  // namespace bulkhead

CEREAL_REGISTER_TYPE(bulkhead::Square)
CEREAL_CLASS_VERSION(bulkhead::Versioned, 3)

namespace bulkhead {

/// So many links, numbered from 0.
inline Chain chain(int length) {
  Chain first;
  Chain* last = &first;
  for (int i = 1; i < length; ++i) {
    last->next = std::make_unique<Chain>();
    last = last->next.get();
    last->number = i;
  }
  return first;
}

template <class T>
std::vector<std::byte> encoded(const T& value) {
  detail::SpillWriter out({});
  Codec<T>::encode(value, out);
  return out.take();
}

template <class T>
T decoded(std::span<const std::byte> bytes) {
  SpanReader in(bytes);
  return Codec<T>::decode(in);
}

template <class T>
T there_and_back(const T& value) {
  const std::vector<std::byte> bytes = encoded(value);
  SpanReader in(bytes);
  T result = Codec<T>::decode(in);
  EXPECT_TRUE(in.exhausted()) << in.available() << " bytes are left over";
  return result;
}

}  // namespace bulkhead
