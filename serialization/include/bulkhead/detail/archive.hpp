// SPDX-License-Identifier: MIT
//
// cereal archives that write to a ByteWriter and read from a ByteReader: no stream, no virtual call
// per field. Every size that is read is held against the bytes that remain before anything is
// allocated for it, and nesting has a limit, so that no input can exhaust memory or stack.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/bulk.hpp>
#include <bulkhead/error.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <cereal/cereal.hpp>
#include <cereal/types/common.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/vector.hpp>

namespace bulkhead::detail {

/// There is one for each message, made when it is first needed: objects are shared within it.
class WriteArchive : public cereal::OutputArchive<WriteArchive, cereal::AllowEmptyClassElision>,
                     public MessageState::Memo {
 public:
  explicit WriteArchive(ByteWriter& out) : OutputArchive(this), out_(out) {}
  /// That of the message.
  static WriteArchive& of(ByteWriter& out) {
    auto& memo = out.state().memo;
    if (!memo) memo = std::make_unique<WriteArchive>(out);
    return static_cast<WriteArchive&>(*memo);
  }

  void enter() { enter_object(out_); }
  void leave() { out_.state().leave(); }
  void saveBinary(const void* data, std::size_t size) { out_.write(data, size); }
  [[nodiscard]] ByteWriter& bytes() { return out_; }

 private:
  ByteWriter& out_;
};

/// As WriteArchive.
class ReadArchive : public cereal::InputArchive<ReadArchive, cereal::AllowEmptyClassElision>,
                    public MessageState::Memo {
 public:
  explicit ReadArchive(ByteReader& in) : InputArchive(this), in_(in) {}
  static ReadArchive& of(ByteReader& in) {
    auto& memo = in.state().memo;
    if (!memo) memo = std::make_unique<ReadArchive>(in);
    return static_cast<ReadArchive&>(*memo);
  }

  void loadBinary(void* data, std::size_t size) { in_.read(data, size); }
  [[nodiscard]] ByteReader& bytes() { return in_; }

  void check_size(std::uint64_t count) {
    if (count > kUnprovenElements) in_.expect(count, 1);
  }
  void enter() { enter_object(in_); }
  void leave() { in_.state().leave(); }

  // Shared objects, by number. cereal casts what it gets to the type it wants: here each has the
  // type with which it was registered, or the data is wrong.
  void expect_shared(const std::type_info& type) { wanted_ = &type; }
  void registerSharedPointer(std::uint32_t number, std::shared_ptr<void> object) {
    shared_[number & ~cereal::detail::msb_32bit] = {std::move(object), wanted_};
  }
  std::shared_ptr<void> getSharedPointer(std::uint32_t number) {
    if (number == 0) return nullptr;
    const auto found = shared_.find(number);
    if (found == shared_.end() || *found->second.type != *wanted_) {
      throw DecodeError("the data shares an object that it does not have");
    }
    return found->second.object;
  }

 private:
  struct Shared {
    std::shared_ptr<void> object;
    const std::type_info* type;
  };

  ByteReader& in_;
  const std::type_info* wanted_ = &typeid(void);  ///< of the shared pointer that is being read
  std::map<std::uint32_t, Shared> shared_;
};

// cereal calls these around every object.
template <class T>
void prologue(WriteArchive& archive, const T&) {
  archive.enter();
}
template <class T>
void epilogue(WriteArchive& archive, const T&) {
  archive.leave();
}
// Twice, as a compiler takes a const reference to a fresh
// variable for a use of its value.
template <class T>
void prologue(ReadArchive& archive, T&) {
  archive.enter();
}
template <class T>
void prologue(ReadArchive& archive, const T&) {
  archive.enter();
}
template <class T>
void prologue(ReadArchive& archive, cereal::memory_detail::PtrWrapper<std::shared_ptr<T>&>&) {
  archive.enter();
  archive.expect_shared(typeid(T));
}
template <class T>
void epilogue(ReadArchive& archive, T&) {
  archive.leave();
}
template <class T>
void epilogue(ReadArchive& archive, const T&) {
  archive.leave();
}

/// Knows what cereal can do with a type by itself, without our support for plain structs.
class ProbeOut : public cereal::OutputArchive<ProbeOut> {
 public:
  ProbeOut();
};
class ProbeIn : public cereal::InputArchive<ProbeIn> {
 public:
  ProbeIn();
};

template <class T>
inline constexpr bool kCerealBothWays = cereal::traits::is_output_serializable<T, ProbeOut>::value&&
    cereal::traits::is_input_serializable<T, ProbeIn>::value;

/// A struct that cereal does not know and that can be copied: it goes by its codec.
template <class T>
inline constexpr bool kPlainStruct = std::is_class_v<T>&& std::is_trivially_copyable_v<T> &&
                                     !kRefersElsewhere<T> && !kCerealBothWays<T>;

/// A vector of them is an array to be copied.
template <class T>
inline constexpr bool kPlainElement = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class T>
  requires std::is_class_v<T>
inline constexpr bool kPlainElement<T> = kPlainStruct<T> && kBulkElement<T>;
template <>
inline constexpr bool kPlainElement<bool> = false;

}  // namespace bulkhead::detail

namespace cereal {

template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::WriteArchive& archive, const T& value) {
  archive.saveBinary(&value, sizeof value);
}
template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ReadArchive& archive, T& value) {
  archive.loadBinary(&value, sizeof value);
}

inline void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ReadArchive& archive, bool& value) {
  std::uint8_t byte = 0;
  archive.loadBinary(&byte, sizeof byte);
  value = byte != 0;
}

// cereal's own copies arrays of arithmetic elements only, and makes room for as many elements as
// the data claims, however large one is in memory.
template <class Archive, class T, class A>
  requires std::is_same_v<Archive, bulkhead::detail::WriteArchive> &&
      bulkhead::detail::kPlainElement<T>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const std::vector<T, A>& vector) {
  bulkhead::detail::write_bulk(vector, archive.bytes());
}
template <class T, class A>
  requires(!std::is_same_v<T, bool>)
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ReadArchive& archive, std::vector<T, A>& vector) {
  if constexpr (bulkhead::detail::kPlainElement<T>) {
    bulkhead::detail::read_bulk(vector, archive.bytes());
  } else {
    std::uint64_t count = 0;
    archive(make_size_tag(count));
    vector.clear();
    for (; count != 0; --count) archive(vector.emplace_back());
  }
}

// The archive is deduced so that the first condition shields the second, which asks the probes.
template <class Archive, class T>
  requires std::is_same_v<Archive, bulkhead::detail::WriteArchive> &&
      bulkhead::detail::kPlainStruct<T>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const T& value) {
  bulkhead::Codec<T>::encode(value, archive.bytes());
}
template <class Archive, class T>
  requires std::is_same_v<Archive, bulkhead::detail::ReadArchive> &&
      bulkhead::detail::kPlainStruct<T>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, T& value) {
  value = bulkhead::Codec<T>::decode(archive.bytes());
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::WriteArchive& archive, const BinaryData<T>& data) {
  archive.saveBinary(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ReadArchive& archive, BinaryData<T>& data) {
  archive.loadBinary(data.data, static_cast<std::size_t>(data.size));
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::WriteArchive& archive, const SizeTag<T>& size) {
  archive(static_cast<std::uint64_t>(size.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ReadArchive& archive, SizeTag<T>& size) {
  std::uint64_t count = 0;
  archive(count);
  archive.check_size(count);
  size.size = static_cast<std::remove_reference_t<T>>(count);
}

template <class Archive, class T>
  requires std::is_same_v<Archive, bulkhead::detail::WriteArchive> ||
      std::is_same_v<Archive, bulkhead::detail::ReadArchive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, NameValuePair<T>& pair) {
  archive(pair.value);
}

// The probes only need to be told that the leaves exist.
template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::ProbeOut&, const T&);
template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ProbeIn&, T&);
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::ProbeOut&, const BinaryData<T>&);
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ProbeIn&, BinaryData<T>&);
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(bulkhead::detail::ProbeOut&, const SizeTag<T>&);
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(bulkhead::detail::ProbeIn&, SizeTag<T>&);
template <class Archive, class T>
  requires std::is_same_v<Archive, bulkhead::detail::ProbeOut> ||
      std::is_same_v<Archive, bulkhead::detail::ProbeIn>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive&, NameValuePair<T>&);

}  // namespace cereal

CEREAL_REGISTER_ARCHIVE(bulkhead::detail::WriteArchive)
CEREAL_REGISTER_ARCHIVE(bulkhead::detail::ReadArchive)
CEREAL_SETUP_ARCHIVE_TRAITS(bulkhead::detail::ReadArchive, bulkhead::detail::WriteArchive)
CEREAL_SETUP_ARCHIVE_TRAITS(bulkhead::detail::ProbeIn, bulkhead::detail::ProbeOut)
