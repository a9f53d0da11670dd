// SPDX-License-Identifier: MIT
//
// Types that serialize themselves, in the way that cereal has made common, and the two archives
// that they are given for it: no more than a call of each member's codec.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/bulk.hpp>
#include <bulkhead/error.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace bulkhead {

template <class T>
struct Codec;

namespace detail {

template <class T>
constexpr void require_codec();

/// What a serialize() or save() is given when its object is written.
class Saver {
 public:
  using is_saving = std::true_type;
  using is_loading = std::false_type;

  explicit Saver(ByteWriter& out) : out_(out) {}

  /// Writes the values, in order.
  template <class... Values>
  Saver& operator()(const Values&... values) {
    (put(values), ...);
    return *this;
  }
  template <class T>
  Saver& operator&(const T& value) {
    return (*this)(value);
  }
  template <class T>
  Saver& operator<<(const T& value) {
    return (*this)(value);
  }

 private:
  template <class T>
  void put(const T& value);

  ByteWriter& out_;
};

/// What a serialize() or load() is given when its object is read.
class Loader {
 public:
  using is_saving = std::false_type;
  using is_loading = std::true_type;

  explicit Loader(ByteReader& in) : in_(in) {}

  /// Reads the values, in order.
  template <class... Values>
  Loader& operator()(Values&&... values) {
    (get<Values>(values), ...);
    return *this;
  }
  template <class T>
  Loader& operator&(T&& value) {
    return (*this)(std::forward<T>(value));
  }
  template <class T>
  Loader& operator>>(T&& value) {
    return (*this)(std::forward<T>(value));
  }

 private:
  template <class Reference, class T>
  void get(T& value);

  ByteReader& in_;
};

template <class T>
concept MemberSerialize = requires(T& value, Saver& saver, Loader& loader) {
  value.serialize(saver);
  value.serialize(loader);
};
template <class T>
concept MemberSaveLoad = requires(T& value, const T& source, Saver& saver, Loader& loader) {
  source.save(saver);
  value.load(loader);
};
template <class T>
concept FreeSerialize = requires(T& value, Saver& saver, Loader& loader) {
  serialize(saver, value);
  serialize(loader, value);
};
template <class T>
concept FreeSaveLoad = requires(T& value, const T& source, Saver& saver, Loader& loader) {
  save(saver, source);
  load(loader, value);
};
/// A version beside the archive is cereal's business.
template <class T>
concept VersionedSerialize = requires(T& value, const T& source, Saver& saver) {
  value.serialize(saver, 0U);
}
|| requires(const T& source, Saver& saver) {
  source.save(saver, 0U);
}
|| requires(T& value, Saver& saver) {
  serialize(saver, value, 0U);
};

/// T has something to say about its bytes.
template <class T>
concept KnowsArchives = MemberSerialize<T> || MemberSaveLoad<T> || FreeSerialize<T> ||
    FreeSaveLoad<T> || VersionedSerialize<T>;

/// ... and says it in one way, which needs no more than a Saver and a Loader.
template <class T>
concept SerializesItself =
    std::is_class_v<T> && std::is_default_constructible_v<T> && !VersionedSerialize<T> &&
    (MemberSerialize<T> + MemberSaveLoad<T> + FreeSerialize<T> + FreeSaveLoad<T> == 1);

/// One object deeper; leave() goes with it. Throw if no value nests as deep.
inline void enter_object(ByteWriter& out) {
  if (!out.state().enter()) throw Error("bulkhead: the value nests deeper than any value may");
}
inline void enter_object(ByteReader& in) {
  if (!in.state().enter()) throw DecodeError("the data nests deeper than any value may");
}

/// One object more around those that follow, as long as this lives.
class Nesting {
 public:
  template <class Bytes>
  explicit Nesting(Bytes& bytes) : state_(bytes.state()) {
    enter_object(bytes);
  }
  ~Nesting() { state_.leave(); }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  MessageState& state_;
};

template <class T>
void save_object(const T& value, ByteWriter& out) {
  const Nesting nesting(out);
  Saver saver(out);
  if constexpr (MemberSerialize<T>) {
    const_cast<T&>(value).serialize(saver);  // one function for both ways cannot be const
  } else if constexpr (MemberSaveLoad<T>) {
    value.save(saver);
  } else if constexpr (FreeSerialize<T>) {
    serialize(saver, const_cast<T&>(value));
  } else {
    save(saver, value);
  }
}

template <class T>
void load_object(T& value, ByteReader& in) {
  const Nesting nesting(in);
  Loader loader(in);
  if constexpr (MemberSerialize<T>) {
    value.serialize(loader);
  } else if constexpr (MemberSaveLoad<T>) {
    value.load(loader);
  } else if constexpr (FreeSerialize<T>) {
    serialize(loader, value);
  } else {
    load(loader, value);
  }
}

/// A value that is made first and filled then: no codec of the user's is passed over for it.
template <class T>
concept FilledInPlace = requires {
  requires Codec<T>::kSelf;
}
|| requires {
  requires Codec<T>::kBulk;
};

/// Replaces `value` by the next one.
template <class T>
void decode_into(T& value, ByteReader& in) {
  if constexpr (requires { requires Codec<T>::kSelf; }) {
    load_object(value, in);
  } else if constexpr (FilledInPlace<T>) {
    read_bulk(value, in);
  } else {
    value = Codec<T>::decode(in);
  }
}

/// Wrappers of cereal's (names, base classes), for which <bulkhead/cereal.hpp> brings the
/// functions.
template <class T>
concept SavedByCereal = requires(ByteWriter& out, const T& value) {
  save_by_cereal(out, value);
};
template <class T>
concept LoadedByCereal = requires(ByteReader& in, T& value) {
  load_by_cereal(in, value);
};

template <class T>
void Saver::put(const T& value) {
  if constexpr (SavedByCereal<T>) {
    save_by_cereal(out_, value);
  } else if constexpr (std::is_array_v<T>) {
    for (const auto& element : value) put(element);
  } else {
    require_codec<T>();
    Codec<T>::encode(value, out_);
  }
}

template <class Reference, class T>
void Loader::get(T& value) {
  if constexpr (LoadedByCereal<T>) {
    load_by_cereal(in_, value);
  } else if constexpr (std::is_array_v<T>) {
    for (auto& element : value) get<decltype(element)>(element);
  } else {
    static_assert(std::is_lvalue_reference_v<Reference>,
                  "bulkhead: a temporary cannot be read into. If it is a wrapper of cereal's "
                  "(CEREAL_NVP, base_class, binary_data), include <bulkhead/cereal.hpp>");
    require_codec<T>();
    decode_into(value, in_);
  }
}

}  // namespace detail
}  // namespace bulkhead
