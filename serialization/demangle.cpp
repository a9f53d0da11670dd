// SPDX-License-Identifier: MIT
#include "serialization/demangle.hpp"

#include <cstddef>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <string_view>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::pair<std::string_view, std::string_view> kShorter[] = {
    {"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
     "std::string"},
    {"std::basic_string_view<char, std::char_traits<char> >", "std::string_view"},
};

void replace_all(std::string& name, std::string_view from, std::string_view to) {
  for (std::size_t at = name.find(from); at != std::string::npos; at = name.find(from, at)) {
    name.replace(at, from.size(), to);
    at += to.size();
  }
}

/// Where the angle bracket that opens just before `at` closes.
std::size_t closing(std::string_view name, std::size_t at) {
  for (int depth = 1; at < name.size(); ++at) {
    if (name[at] == '<') ++depth;
    if (name[at] == '>' && --depth == 0) break;
  }
  return at;
}

/// std::vector<int, std::allocator<int> > becomes std::vector<int>.
void drop_allocators(std::string& name) {
  constexpr std::string_view kAllocator = ", std::allocator<";
  for (std::size_t at = name.find(kAllocator); at != std::string::npos;
       at = name.find(kAllocator, at)) {
    std::size_t end = closing(name, at + kAllocator.size()) + 1;
    if (name.compare(end, 2, " >") == 0) ++end;
    name.erase(at, end - at);
  }
}

}  // namespace

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> plain(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  if (status != 0 || !plain) return symbol;
  std::string name = plain.get();
  for (const auto& [from, to] : kShorter) replace_all(name, from, to);
  drop_allocators(name);
  return name;
}

}  // namespace bulkhead::detail
