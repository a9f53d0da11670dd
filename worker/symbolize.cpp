// SPDX-License-Identifier: MIT
//
// Symbolizer: decides which addresses to trust, asks libbacktrace, keeps the answers.
// Define BULKHEAD_NO_LIBBACKTRACE where libbacktrace (part of GCC) cannot be linked: then only
// exported functions get a name and no line is known.
#include "worker/symbolize.hpp"

#include "serialization/demangle.hpp"
#include "worker/module.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <dlfcn.h>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#if !defined(BULKHEAD_NO_LIBBACKTRACE)
// The stable C interface of libbacktrace. Its header lies in GCC's private include directory,
// where other compilers do not look.
extern "C" {
struct backtrace_state;
using backtrace_error_callback = void (*)(void* data, const char* message, int error);
using backtrace_full_callback = int (*)(void* data, std::uintptr_t pc, const char* file, int line,
                                        const char* function);
using backtrace_syminfo_callback = void (*)(void* data, std::uintptr_t pc, const char* symbol,
                                            std::uintptr_t value, std::uintptr_t size);
backtrace_state* backtrace_create_state(const char* file, int threaded,
                                        backtrace_error_callback on_error, void* data);
int backtrace_pcinfo(backtrace_state* state, std::uintptr_t pc, backtrace_full_callback on_place,
                     backtrace_error_callback on_error, void* data);
int backtrace_syminfo(backtrace_state* state, std::uintptr_t pc,
                      backtrace_syminfo_callback on_symbol, backtrace_error_callback on_error,
                      void* data);
}
#endif

namespace bulkhead::detail {
namespace {

constexpr std::size_t kMaxCached = 4096;  // addresses; a damaged report may claim any

/// Names of one address. Several places if calls were inlined there, the innermost first.
struct Place {
  std::string function;
  std::string file;
  int line = 0;
};
using Places = std::vector<Place>;

bool is_mangled(std::string_view symbol) {
  return symbol.starts_with("_Z");
}

std::string demangle(const std::string& symbol) {
  return is_mangled(symbol) ? demangled(symbol.c_str()) : symbol;
}

#if !defined(BULKHEAD_NO_LIBBACKTRACE)

/// The symbols and debug information of the modules that were loaded at one moment, read from
/// their files. Its memory cannot be given back, so few are ever made.
class DebugInfo {
 public:
  explicit DebugInfo(const ModuleMap& modules)
      : state_(::backtrace_create_state(nullptr, 0, &ignore_error, nullptr)) {
    for (const Module& module : modules.modules()) {
      // A library may have been replaced on disk since it was loaded: its names would be wrong.
      // The program, listed first, is exempt: /proc/self/exe leads to the file that runs.
      const bool is_program = modules_.empty();
      const bool is_current = is_program || build_id_of_file(module.path) == module.build_id;
      modules_.push_back({module, is_current});
    }
  }

  /// Whether `module` was loaded when this was made.
  bool knows(const Module& module) const { return find(module) != nullptr; }

  /// Names at `pc` of `module`, which is known; none if its file has changed.
  Places places_at(std::uintptr_t pc, const Module& module) const {
    if (state_ == nullptr || !find(module)->is_current) return {};
    Places places;
    ::backtrace_pcinfo(state_, pc, &add_place, &ignore_error, &places);
    std::string symbol;
    ::backtrace_syminfo(state_, pc, &set_symbol, &ignore_error, &symbol);
    if (places.empty() && !symbol.empty()) places.emplace_back();
    if (places.empty()) return places;
    // The symbol table knows scope and arguments where debug information has a bare name only.
    std::string& function = places.back().function;
    if (function.empty() || (!is_mangled(function) && is_mangled(symbol))) function = symbol;
    return places;
  }

 private:
  struct Source {
    Module module;
    bool is_current;  // the file is the one that was loaded
  };

  const Source* find(const Module& module) const {
    const auto found =
        std::find_if(modules_.begin(), modules_.end(), [&module](const Source& source) {
          return source.module.base == module.base && source.module.build == module.build &&
                 source.module.path == module.path;
        });
    return found == modules_.end() ? nullptr : &*found;
  }

  static void ignore_error(void* /*data*/, const char* /*message*/, int /*error*/) {}

  static int add_place(void* data, std::uintptr_t /*pc*/, const char* file, int line,
                       const char* function) {
    if (file == nullptr && function == nullptr) return 0;
    static_cast<Places*>(data)->push_back(
        {function == nullptr ? "" : function, file == nullptr ? "" : file, line});
    return 0;
  }

  static void set_symbol(void* data, std::uintptr_t /*pc*/, const char* symbol,
                         std::uintptr_t /*value*/, std::uintptr_t /*size*/) {
    if (symbol != nullptr) *static_cast<std::string*>(data) = symbol;
  }

  backtrace_state* state_;
  std::vector<Source> modules_;
};

#else

class DebugInfo {
 public:
  explicit DebugInfo(const ModuleMap& /*modules*/) {}
  bool knows(const Module& /*module*/) const { return true; }
  Places places_at(std::uintptr_t /*pc*/, const Module& /*module*/) const { return {}; }
};

#endif

/// The exported function at `pc`, as the loader knows it.
Places exported_place(std::uintptr_t pc, const Module& module, bool is_program) {
  // Held open meanwhile, so that no other thread unloads the module and the name with it.
  void* hold = ::dlopen(is_program ? nullptr : module.path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (hold == nullptr) return {};
  Dl_info info{};
  Places places;
  if (::dladdr(reinterpret_cast<const void*>(pc), &info) != 0 && info.dli_sname != nullptr) {
    places.push_back({info.dli_sname, "", 0});
  }
  ::dlclose(hold);
  return places;
}

class Symbolizer {
 public:
  std::vector<SymbolizedFrame> symbolize(const std::vector<CrashFrame>& frames) {
    const std::lock_guard lock(mutex_);
    refresh();
    std::vector<SymbolizedFrame> result;
    for (const CrashFrame& frame : frames) append(result, frame);
    return result;
  }

 private:
  static constexpr std::size_t kMaxDebugInfos = 8;

  void refresh() {
    const std::uint64_t now = ModuleMap::generation();
    if (generation_ == now) return;
    modules_ = ModuleMap::snapshot();
    cache_.clear();
    generation_ = now;
  }

  /// The address of the same instruction in this process, inside one of its executable segments.
  std::optional<std::uintptr_t> trusted_pc(const CrashFrame& frame) const {
    const std::uint64_t offset = frame.address - frame.module_base;
    if (frame.build_id != 0) {
      const void* pc = modules_.resolve({frame.build_id, offset});
      if (pc == nullptr) return std::nullopt;
      return reinterpret_cast<std::uintptr_t>(pc);
    }
    const Module* module = modules_.find(reinterpret_cast<const void*>(frame.address));
    if (module == nullptr || module->base != frame.module_base || module->path != frame.module) {
      return std::nullopt;
    }
    return frame.address;
  }

  const Places& places_at(std::uintptr_t pc) {
    if (const auto known = cache_.find(pc); known != cache_.end()) return known->second;
    const Module& module = *modules_.find(reinterpret_cast<const void*>(pc));
    const DebugInfo* info = info_for(module);
    Places places = info == nullptr ? Places{} : info->places_at(pc, module);
    if (places.empty()) {
      places = exported_place(pc, module, &module == modules_.modules().data());
    }
    for (Place& place : places) place.function = demangle(place.function);
    if (cache_.size() >= kMaxCached) cache_.clear();
    return cache_.emplace(pc, std::move(places)).first->second;
  }

  const DebugInfo* info_for(const Module& module) {
    const auto known = std::find_if(infos_.begin(), infos_.end(), [&module](const DebugInfo& info) {
      return info.knows(module);
    });
    if (known != infos_.end()) return &*known;
    return infos_.size() < kMaxDebugInfos ? &infos_.emplace_back(modules_) : nullptr;
  }

  void append(std::vector<SymbolizedFrame>& result, const CrashFrame& frame) {
    SymbolizedFrame plain;
    plain.address = frame.address;
    plain.module = frame.module;
    if (!frame.module.empty()) plain.offset = frame.address - frame.module_base;
    const auto pc = trusted_pc(frame);
    const Places* places = pc ? &places_at(*pc) : nullptr;
    if (places == nullptr || places->empty()) {
      result.push_back(std::move(plain));
      return;
    }
    for (const Place& place : *places) {
      SymbolizedFrame& named = result.emplace_back(plain);
      named.function = place.function;
      named.file = place.file;
      named.line = place.line;
    }
  }

  std::mutex mutex_;                         // guards all that follows
  std::optional<std::uint64_t> generation_;  // of modules_
  ModuleMap modules_;
  std::unordered_map<std::uintptr_t, Places> cache_;  // by address in this process
  std::vector<DebugInfo> infos_;
};

std::string_view last_component(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string hex(std::uint64_t value) {
  std::array<char, 16> digits{};
  char* end = std::to_chars(digits.begin(), digits.end(), value, 16).ptr;
  return std::string("0x").append(digits.begin(), end);
}

}  // namespace

std::vector<SymbolizedFrame> symbolize(const std::vector<CrashFrame>& frames) {
  // Never destroyed: another thread may still report a crash while the program exits.
  static Symbolizer& symbolizer = *new Symbolizer;
  return symbolizer.symbolize(frames);
}

namespace {

bool is_of_a_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
/// Of the name of an operator that begins there: `operator<`; 0: there is none.
std::size_t operator_size(std::string_view function, std::size_t at) {
  constexpr std::string_view kOperator = "operator";
  constexpr std::array<std::string_view, 11> kSigns{
      "<=>", "<<=", ">>=", "->*", "<=", ">=", "<<", ">>", "->", "<", ">"};
  if (!function.substr(at).starts_with(kOperator)) return 0;
  if (at != 0 && is_of_a_name(function[at - 1])) return 0;
  const std::string_view rest = function.substr(at + kOperator.size());
  const auto sign = std::ranges::find_if(kSigns, [&](auto s) { return rest.starts_with(s); });
  return sign == kSigns.end() ? 0 : kOperator.size() + sign->size();
}

}  // namespace

std::string without_template_arguments(std::string_view function) {
  std::string text;
  int depth = 0;
  for (std::size_t i = 0; i < function.size(); ++i) {
    if (const std::size_t size = operator_size(function, i); size != 0) {
      if (depth == 0) text += function.substr(i, size);
      i += size - 1;
      continue;
    }
    const bool is_arrow = function[i] == '>' && i != 0 && function[i - 1] == '-';
    if (function[i] == '<' && depth++ == 0) text += "<...";
    if (function[i] == '>' && !is_arrow) --depth;
    if (depth == 0) text += function[i];
  }
  return text;
}

std::string to_string(const SymbolizedFrame& frame) {
  std::string place;
  if (!frame.file.empty()) {
    place = last_component(frame.file);
    if (frame.line > 0) place.append(":").append(std::to_string(frame.line));
    return frame.function.empty() ? place : frame.function + " at " + place;
  }
  place = frame.module.empty()
              ? hex(frame.address)
              : std::string(last_component(frame.module)) + "+" + hex(frame.offset);
  return frame.function.empty() ? place : frame.function + " (" + place + ")";
}

}  // namespace bulkhead::detail
