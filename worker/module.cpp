// SPDX-License-Identifier: MIT
//
// ModuleMap: reads the loader's list (dl_iterate_phdr) once and answers from sorted vectors.
// find_loaded and the build_id functions also run inside crash handlers: they must not allocate.
#include "worker/module.hpp"

#include "serialization/checksum.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::string_view kGnuNoteName{"GNU\0", 4};

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text));
}

/// 0 means "no build" everywhere, so no hash may be 0.
std::uint64_t never_zero(std::uint64_t hash) noexcept {
  return hash == 0 ? 1 : hash;
}

std::size_t align_up(std::size_t size, std::size_t alignment) noexcept {
  return (size + alignment - 1) / alignment * alignment;
}

bool is_executable(const ProgramHeader& header) {
  return header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0 && header.p_memsz != 0;
}

/// Identity of a module that was linked without a build-id.
std::uint64_t hash_layout(const std::string& path, std::span<const ProgramHeader> headers) {
  Checksum sum;
  sum.add(bytes_of(path));
  for (const ProgramHeader& header : headers) {
    if (!is_executable(header)) continue;
    const std::array<std::uint64_t, 2> shape{header.p_vaddr, header.p_memsz};
    sum.add(std::as_bytes(std::span(shape)));
  }
  return never_zero(sum.value());
}

/// Identity of another copy of a module, at `path`.
std::uint64_t hash_copy(std::uint64_t build, std::string_view path) {
  Checksum sum;
  sum.add(std::as_bytes(std::span(&build, 1)));
  sum.add(bytes_of(path));
  return never_zero(sum.value());
}

/// Whether [begin, begin + size) of the file's address space lies in one readable segment.
bool is_readable(std::span<const ProgramHeader> headers, std::uint64_t begin, std::uint64_t size) {
  return std::any_of(headers.begin(), headers.end(), [=](const ProgramHeader& header) {
    return header.p_type == PT_LOAD && (header.p_flags & PF_R) != 0 && begin >= header.p_vaddr &&
           size <= header.p_memsz && begin - header.p_vaddr <= header.p_memsz - size;
  });
}

const std::byte* as_pointer(std::uintptr_t address) {
  return reinterpret_cast<const std::byte*>(address);
}

int read_generation(dl_phdr_info* info, std::size_t size, void* result) {
  const std::size_t needed = offsetof(dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs);
  // Both counters only grow, so their sum never returns to an earlier value.
  if (size >= needed) *static_cast<std::uint64_t*>(result) = info->dlpi_adds + info->dlpi_subs;
  return 1;
}

/// Owns a file descriptor for the length of a block.
class File {
 public:
  explicit File(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// False if the file has no `size` bytes at `offset`.
  bool read(void* to, std::size_t size, std::uint64_t offset) const {
    return ::pread(descriptor_, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }

 private:
  int descriptor_;
};

}  // namespace

std::uint64_t build_id_in_notes(std::span<const std::byte> notes, std::size_t alignment) noexcept {
  const std::size_t unit = alignment == 8 ? 8 : 4;
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::size_t id_begin = align_up(sizeof note + note.n_namesz, unit);
    const std::size_t id_end = id_begin + note.n_descsz;
    if (id_end > notes.size()) return 0;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz != 0 &&
        note.n_namesz == kGnuNoteName.size() &&
        std::memcmp(notes.data() + sizeof note, kGnuNoteName.data(), kGnuNoteName.size()) == 0) {
      Checksum sum;
      sum.add(notes.subspan(id_begin, note.n_descsz));
      return never_zero(sum.value());
    }
    notes = notes.subspan(std::min(align_up(id_end, unit), notes.size()));
  }
  return 0;
}

std::uint64_t build_id_of(std::span<const ProgramHeader> headers, std::uintptr_t base) noexcept {
  for (const ProgramHeader& header : headers) {
    if (header.p_type != PT_NOTE || !is_readable(headers, header.p_vaddr, header.p_memsz)) continue;
    const std::span notes(as_pointer(base + header.p_vaddr), header.p_memsz);
    if (const std::uint64_t id = build_id_in_notes(notes, header.p_align)) return id;
  }
  return 0;
}

std::uint64_t LoadedModule::build_id() const noexcept {
  ElfW(Ehdr) header;
  const std::size_t readable = std::min<std::size_t>(image.size(), 4096);
  if (readable < sizeof header) return 0;
  std::memcpy(&header, image.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phoff > readable ||
      header.e_phoff % alignof(ProgramHeader) != 0 ||
      header.e_phnum > (readable - header.e_phoff) / sizeof(ProgramHeader)) {
    return 0;
  }
  const std::byte* headers = image.data() + header.e_phoff;
  return build_id_of({reinterpret_cast<const ProgramHeader*>(headers), header.e_phnum}, base);
}

std::uint64_t build_id_of_file(const std::string& path) {
  constexpr std::size_t kMaxNotes = 65536;
  const File file(path);
  ElfW(Ehdr) header;
  if (!file.read(&header, sizeof header, 0)) return 0;
  std::vector<ProgramHeader> segments(header.e_phnum);
  if (!file.read(segments.data(), segments.size() * sizeof(ProgramHeader), header.e_phoff)) {
    return 0;
  }
  for (const ProgramHeader& segment : segments) {
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMaxNotes) continue;
    std::vector<std::byte> notes(segment.p_filesz);
    if (!file.read(notes.data(), notes.size(), segment.p_offset)) continue;
    if (const std::uint64_t id = build_id_in_notes(notes, segment.p_align)) return id;
  }
  return 0;
}

std::optional<LoadedModule> find_loaded(std::uintptr_t address) noexcept {
#if defined(DLFO_EH_SEGMENT_TYPE)
  dl_find_object object{};
  if (::_dl_find_object(reinterpret_cast<void*>(address), &object) != 0) return std::nullopt;
  const link_map& link = *object.dlfo_link_map;
  const auto* begin = static_cast<const std::byte*>(object.dlfo_map_start);
  const auto* end = static_cast<const std::byte*>(object.dlfo_map_end);
  return LoadedModule{link.l_addr, link.l_name == nullptr ? "" : link.l_name, {begin, end}};
#else
  static_cast<void>(address);
  return std::nullopt;
#endif
}

std::string program_path() {
  std::string path(4096, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return "/proc/self/exe";
  path.resize(static_cast<std::size_t>(length));
  constexpr std::string_view kDeleted = " (deleted)";  // appended by the kernel, see proc(5)
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

/// Collects what dl_iterate_phdr reports.
struct ModuleMapBuilder {
  ModuleMap map;

  static int visit(dl_phdr_info* info, std::size_t /*size*/, void* self) {
    static_cast<ModuleMapBuilder*>(self)->add(*info);
    return 0;
  }

  void add(const dl_phdr_info& info) {
    const std::span headers(info.dlpi_phdr, info.dlpi_phnum);
    Module module;
    module.base = info.dlpi_addr;
    module.path = info.dlpi_name == nullptr ? "" : info.dlpi_name;
    if (module.path.empty() && map.modules_.empty()) module.path = program_path();
    module.build_id = build_id_of(headers, module.base);
    module.build = module.build_id != 0 ? module.build_id : hash_layout(module.path, headers);
    if (is_known(module.build)) module.build = hash_copy(module.build, module.path);
    if (!is_known(module.build)) map.builds_.push_back({module.build, map.modules_.size()});
    for (const ProgramHeader& header : headers) {
      if (!is_executable(header)) continue;
      const std::uintptr_t begin = module.base + header.p_vaddr;
      map.segments_.push_back({begin, begin + header.p_memsz, map.modules_.size()});
    }
    map.modules_.push_back(std::move(module));
  }

  bool is_known(std::uint64_t build) const {
    return std::any_of(map.builds_.begin(), map.builds_.end(),
                       [build](const ModuleMap::Build& known) { return known.build == build; });
  }

  void sort() {
    std::sort(map.segments_.begin(), map.segments_.end(),
              [](const auto& a, const auto& b) { return a.begin < b.begin; });
    std::sort(map.builds_.begin(), map.builds_.end(),
              [](const auto& a, const auto& b) { return a.build < b.build; });
  }
};

ModuleMap ModuleMap::snapshot() {
  ModuleMapBuilder builder;
  ::dl_iterate_phdr(&ModuleMapBuilder::visit, &builder);
  builder.sort();
  return std::move(builder.map);
}

const ModuleMap::Segment* ModuleMap::find_segment(std::uintptr_t address) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), address,
                       [](std::uintptr_t wanted, const Segment& s) { return wanted < s.begin; });
  if (after == segments_.begin()) return nullptr;
  const Segment& candidate = *std::prev(after);
  return address < candidate.end ? &candidate : nullptr;
}

const Module* ModuleMap::find(const void* address) const {
  const Segment* segment = find_segment(reinterpret_cast<std::uintptr_t>(address));
  return segment == nullptr ? nullptr : &modules_[segment->module];
}

const ModuleMap& ModuleMap::present() {
  thread_local ModuleMap modules;
  thread_local std::optional<std::uint64_t> seen;
  const std::uint64_t now = generation();
  if (seen != now) modules = snapshot();
  seen = now;
  return modules;
}

std::optional<ModuleToken> ModuleMap::token(const void* address) const {
  const Module* module = find(address);
  if (module == nullptr) return std::nullopt;
  const ModuleToken token{module->build, reinterpret_cast<std::uintptr_t>(address) - module->base};
  return resolve(token) == address ? std::optional(token) : std::nullopt;
}

const void* ModuleMap::resolve(ModuleToken token) const {
  const auto found = std::lower_bound(
      builds_.begin(), builds_.end(), token.build,
      [](const Build& build, std::uint64_t wanted) { return build.build < wanted; });
  if (found == builds_.end() || found->build != token.build) return nullptr;
  const std::uintptr_t address = modules_[found->module].base + token.offset;
  const Segment* segment = find_segment(address);
  if (segment == nullptr || segment->module != found->module) return nullptr;
  return as_pointer(address);
}

std::string ModuleMap::name_of(const void* address) {
  Dl_info info{};
  void* extra = nullptr;
  if (::dladdr1(address, &info, &extra, RTLD_DL_LINKMAP) == 0 || extra == nullptr) {
    return "unknown module";
  }
  // The loader knows the program by the empty name; dladdr would give argv[0] instead.
  const std::string name = static_cast<const link_map*>(extra)->l_name;
  return name.empty() ? program_path() : name;
}

std::uint64_t ModuleMap::generation() {
  std::uint64_t result = 0;
  ::dl_iterate_phdr(&read_generation, &result);
  return result;
}

}  // namespace bulkhead::detail
