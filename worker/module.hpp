// SPDX-License-Identifier: MIT
//
// Which code modules (the program and its shared libraries) are loaded in this process, and code
// addresses as tokens which another process can check before it uses them.
// Used by callables that travel to a worker, by the crash report and by the symbolizer.
// A snapshot never changes after it was taken: any thread may read it. It describes the process
// that took it, and forks of that process until they load or unload a module themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <elf.h>
#include <link.h>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bulkhead::detail {

using ProgramHeader = ElfW(Phdr);

/// A code address that means the same in every process which runs the same build of the module.
struct ModuleToken {
  /// 64-bit hash of the module's GNU build-id; if it has none, of its path and the sizes of its
  /// executable segments. A second copy of one build in the same process has its path mixed in.
  std::uint64_t build = 0;
  /// Bytes from the module's load base (`dlpi_addr`).
  std::uint64_t offset = 0;

  bool operator==(const ModuleToken&) const = default;
};

/// One loaded module.
struct Module {
  std::uint64_t build = 0;     // as in ModuleToken
  std::uint64_t build_id = 0;  // hash of the GNU build-id alone; 0: the module has none
  std::uintptr_t base = 0;     // dlpi_addr: what the loader added to the addresses in the file
  std::string path;  // as the loader knows it; for the program the target of /proc/self/exe
};

/// The modules loaded in this process at one moment. Lookups take O(log modules).
class ModuleMap {
 public:
  /// The modules loaded now. Takes the loader's lock: not for signal handlers.
  static ModuleMap snapshot();

  /// The same, taken again only when modules have come or gone since. For the calling thread, until
  /// its next call.
  static const ModuleMap& present();

  /// Token of an address inside an executable segment of a module; nullopt elsewhere, and for a
  /// module that cannot be told from another one (same build at the same path).
  std::optional<ModuleToken> token(const void* address) const;

  /// The address of a token, only if the module is in this snapshot and the offset falls in one of
  /// its executable segments; nullptr otherwise. Any token may be asked for, random bits too.
  const void* resolve(ModuleToken token) const;

  /// The module one of whose executable segments holds `address`; nullptr if there is none.
  const Module* find(const void* address) const;

  /// All modules, in the order the loader lists them: the program first.
  std::span<const Module> modules() const { return modules_; }

  /// File name of the module that holds `address` now in this process, for error messages;
  /// "unknown module" if none does.
  static std::string name_of(const void* address);

  /// Differs after a module was loaded or unloaded in this process. Costs one callback.
  static std::uint64_t generation();

 private:
  friend struct ModuleMapBuilder;

  struct Segment {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::size_t module = 0;  // index into modules_
  };
  struct Build {
    std::uint64_t build = 0;
    std::size_t module = 0;
  };

  const Segment* find_segment(std::uintptr_t address) const;

  std::vector<Module> modules_;
  std::vector<Segment> segments_;  // executable ones, by address; they never overlap
  std::vector<Build> builds_;      // by build, each once
};

/// Hash of the GNU build-id among the ELF notes in `notes`, never 0; 0 if there is none.
/// `alignment` is that of the PT_NOTE segment. Accepts any bytes. Async-signal-safe.
std::uint64_t build_id_in_notes(std::span<const std::byte> notes, std::size_t alignment) noexcept;

/// Hash of the GNU build-id of a loaded module, as `Module::build_id`. Reads only memory which the
/// program headers call readable. Async-signal-safe.
std::uint64_t build_id_of(std::span<const ProgramHeader> headers, std::uintptr_t base) noexcept;

/// The same of an ELF file, as it is on disk now; 0 also if it cannot be read.
std::uint64_t build_id_of_file(const std::string& path);

/// What the loader tells about the module that holds an address, without taking its lock.
struct LoadedModule {
  std::uintptr_t base = 0;
  const char* path = "";             // owned by the loader
  std::span<const std::byte> image;  // as mapped, from the lowest address to the highest

  /// The loader knows the program itself by an empty name.
  bool is_program() const noexcept { return *path == '\0'; }
  /// As `Module::build_id`. Async-signal-safe.
  std::uint64_t build_id() const noexcept;
};

/// The module that holds `address` now in this process, its data included. Async-signal-safe;
/// where the C library has no _dl_find_object (glibc < 2.35) it never finds one.
std::optional<LoadedModule> find_loaded(std::uintptr_t address) noexcept;

/// Path of the running program, also after its file was replaced or deleted.
std::string program_path();

}  // namespace bulkhead::detail
