// SPDX-License-Identifier: MIT
//
// Crash handlers (worker side) and reader (coordinator side) of the crash page.
// What runs in a handler is async-signal-safe: no allocation, no lock, only system calls, the
// unwinder (warmed up at installation) and _dl_find_object. Facts are published before unwinding,
// and each frame as it is found, because a damaged stack may kill the handler half-way.
#include "worker/crash.hpp"

#include "worker/module.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <cxxabi.h>
#include <dlfcn.h>
#include <exception>
#include <new>
#include <signal.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <system_error>
#include <typeinfo>
#include <unistd.h>
#include <unwind.h>

namespace bulkhead::detail {
namespace {

constexpr std::array kFatalSignals{SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGABRT,
                                   SIGSYS,  SIGTRAP, SIGXCPU, SIGXFSZ};
constexpr std::uint32_t kMagic = 0x42484331;  // "BHC1"
constexpr std::uint32_t kFacts = 1;           // CrashPage::state: all but the frames is written
constexpr std::uint32_t kComplete = 2;        // CrashPage::state: the frames too
constexpr std::uint32_t kNoModule = ~0U;
constexpr std::size_t kMaxFrames = 64;
constexpr std::size_t kMaxModules = 32;
constexpr std::size_t kMessageBytes = 1024;
constexpr std::size_t kPathBytes = 5120;
constexpr std::size_t kAlternateStackBytes = std::size_t{256} << 10;
constexpr unsigned kReportSeconds = 5;  // after which a handler that hangs is given up

struct PageFrame {
  std::uint64_t address = 0;
  std::uint32_t module = kNoModule;  // index into CrashPage::modules
  std::uint32_t unused = 0;
};

struct PageModule {
  std::uint64_t base = 0;
  std::uint64_t build_id = 0;
  std::uint32_t path_begin = 0;  // [path_begin, path_begin + path_size) of CrashPage::paths
  std::uint32_t path_size = 0;
};

struct CrashPage {
  std::uint32_t state = 0;  // 0, kFacts, kComplete; first, and stored last with release
  std::uint32_t magic = kMagic;
  std::int32_t signal = 0;
  std::int32_t code = 0;
  std::uint64_t fault_address = 0;
  std::uint32_t has_fault_address = 0;
  std::uint32_t message_size = 0;
  std::uint32_t frame_count = 0;
  std::uint32_t module_count = 0;
  std::uint32_t path_bytes = 0;
  std::uint32_t unused = 0;
  std::array<PageFrame, kMaxFrames> frames{};
  std::array<PageModule, kMaxModules> modules{};
  std::array<char, kMessageBytes> message{};
  std::array<char, kPathBytes> paths{};
};
static_assert(sizeof(CrashPage) <= kCrashPageBytes);
static_assert(offsetof(CrashPage, state) == 0);
static_assert(std::atomic_ref<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<pid_t>::is_always_lock_free);

// Worker side.

/// What the handlers need; written by install_crash_handlers, one per worker process.
struct Reporter {
  CrashPage* page = nullptr;
  pid_t process = 0;                      // a task's own children inherit the handlers
  std::atomic<pid_t> crashing_thread{0};  // the first thread to crash; it alone writes the page
  std::atomic<int> signal{0};             // what that thread dies of
  std::array<char, 4096> program{};       // path of the program, NUL-terminated
  // Slot where the C library leaves the text of a failed assert or of a corrupted heap: a pointer
  // to {unsigned block_bytes, char text[]}. Private to glibc, hence looked up and optional.
  const char* const* abort_text = nullptr;
  // Load bases of the C, C++ and unwinder libraries: where an abort is carried out, not caused.
  std::array<std::uintptr_t, 3> runtime_bases{};
};
constinit Reporter reporter;

[[noreturn]] void die_of(int signal) noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::tgkill(::getpid(), ::gettid(), signal);
  ::_exit(128 + signal);
}

void on_watchdog(int /*signal*/) noexcept {
  die_of(reporter.signal.load());
}

/// Ends the process even if the unwinder loops, or waits for a lock that the crash left held.
void arm_watchdog() noexcept {
  struct sigaction action {};
  action.sa_handler = &on_watchdog;
  action.sa_flags = SA_ONSTACK;
  ::sigaction(SIGALRM, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::alarm(kReportSeconds);
}

std::uintptr_t base_of(std::uintptr_t address) noexcept {
  const auto module = find_loaded(address);
  return module ? module->base : 0;
}

/// Index in the page of the module that holds `address`, entered if it is new.
std::uint32_t intern_module(CrashPage& page, std::uintptr_t address) noexcept {
  const auto found = find_loaded(address);
  if (!found) return kNoModule;
  const std::uint32_t count = page.module_count;
  for (std::uint32_t i = 0; i < count && i < kMaxModules; ++i) {
    if (page.modules[i].base == found->base) return i;
  }
  const char* path = found->is_program() ? reporter.program.data() : found->path;
  const std::size_t size = std::strlen(path);
  if (count >= kMaxModules || page.path_bytes > kPathBytes || size > kPathBytes - page.path_bytes) {
    return kNoModule;
  }
  std::memcpy(page.paths.data() + page.path_bytes, path, size);
  page.modules[count] = {.base = found->base,
                         .build_id = found->build_id(),
                         .path_begin = page.path_bytes,
                         .path_size = static_cast<std::uint32_t>(size)};
  page.path_bytes += static_cast<std::uint32_t>(size);
  page.module_count = count + 1;
  return count;
}

/// False once the page holds all the frames it can.
bool add_frame(std::uintptr_t address) noexcept {
  CrashPage& page = *reporter.page;
  const std::uint32_t count = page.frame_count;
  if (count >= kMaxFrames) return false;
  page.frames[count] = {.address = address, .module = intern_module(page, address), .unused = 0};
  std::atomic_ref(page.frame_count).store(count + 1, std::memory_order_release);
  return true;
}

struct Unwinding {
  std::uintptr_t start = 0;   // frames before this pc are the handler's own; 0: keep all
  bool skip_runtime = false;  // leave out leading frames inside the language runtime
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* data) noexcept {
  auto& unwinding = *static_cast<Unwinding*>(data);
  int is_exact = 0;
  const std::uintptr_t pc = _Unwind_GetIPInfo(context, &is_exact);
  if (unwinding.start != 0 && pc != unwinding.start) return _URC_NO_REASON;
  unwinding.start = 0;
  if (pc == 0) return _URC_END_OF_STACK;
  const std::uintptr_t address = is_exact != 0 ? pc : pc - 1;
  const auto& bases = reporter.runtime_bases;
  if (unwinding.skip_runtime) {
    const std::uintptr_t base = base_of(address);
    if (base != 0 && std::find(bases.begin(), bases.end(), base) != bases.end()) {
      return _URC_NO_REASON;
    }
  }
  unwinding.skip_runtime = false;
  return add_frame(address) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void unwind(Unwinding unwinding) noexcept {
  _Unwind_Backtrace(&on_frame, &unwinding);
  if (reporter.page->frame_count != 0) return;
  Unwinding everything;
  _Unwind_Backtrace(&on_frame, &everything);
}

/// The registers at the fault that say where the program was.
struct Registers {
  std::uintptr_t pc = 0;
  std::uintptr_t sp = 0;
};

#if defined(__x86_64__)
Registers registers_of(const ucontext_t& context) noexcept {
  const auto& all = context.uc_mcontext.gregs;
  return {static_cast<std::uintptr_t>(all[REG_RIP]), static_cast<std::uintptr_t>(all[REG_RSP])};
}

void set_registers(ucontext_t& context, Registers registers) noexcept {
  context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(registers.pc);
  context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(registers.sp);
}

/// Where the call that led to a wild pc was made: the return address is on top of the stack.
__attribute__((no_sanitize("address", "undefined"))) Registers caller_of(
    const ucontext_t& context) noexcept {
  const std::uintptr_t sp = registers_of(context).sp;
  return {*reinterpret_cast<const std::uintptr_t*>(sp) - 1, sp + sizeof(std::uintptr_t)};
}
#elif defined(__aarch64__)
Registers registers_of(const ucontext_t& context) noexcept {
  return {context.uc_mcontext.pc, context.uc_mcontext.sp};
}

void set_registers(ucontext_t& context, Registers registers) noexcept {
  context.uc_mcontext.pc = registers.pc;
  context.uc_mcontext.sp = registers.sp;
}

/// Where the call that led to a wild pc was made: the return address is in the link register.
Registers caller_of(const ucontext_t& context) noexcept {
  return {context.uc_mcontext.regs[30] - 1, context.uc_mcontext.sp};
}
#else
Registers registers_of(const ucontext_t&) noexcept {
  return {};
}
void set_registers(ucontext_t&, Registers) noexcept {}
Registers caller_of(const ucontext_t&) noexcept {
  return {};
}
#endif

/// Frames of a call through a bad pointer: no unwinder can start at an address without code, so
/// it is shown a context in which the call has not been made yet.
void unwind_wild_call(ucontext_t& context) noexcept {
  const Registers fault = registers_of(context);
  add_frame(fault.pc);
  const Registers caller = caller_of(context);
  if (!find_loaded(caller.pc)) return;
  set_registers(context, caller);
  unwind({.start = caller.pc});
  set_registers(context, fault);
}

void append_message(const char* text, std::size_t limit = kMessageBytes) noexcept {
  CrashPage& page = *reporter.page;
  while (limit-- > 0 && *text != '\0' && page.message_size < kMessageBytes) {
    page.message[page.message_size++] = *text++;
  }
}

void append_abort_text() noexcept {
  const char* block = reporter.abort_text == nullptr ? nullptr : *reporter.abort_text;
  if (block == nullptr) return;
  unsigned bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  if (bytes > sizeof bytes) append_message(block + sizeof bytes, bytes - sizeof bytes);
}

/// Not in signal context: may allocate. The demangled name is not freed, the process ends.
void append_active_exception() noexcept {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) {
    append_message("std::terminate without an active exception");
    return;
  }
  int status = 0;
  const char* name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  append_message(name == nullptr ? type->name() : name);
  try {
    throw;
  } catch (const std::exception& error) {
    append_message(": ");
    append_message(error.what());
  } catch (...) {
    return;
  }
}

/// Starts the report, if this thread is the one to write it. Does not return to a thread that
/// crashes while another one reports (it waits for the end), nor to one that crashes reporting.
bool begin_report(int signal, int code, const void* fault_address) noexcept {
  if (::getpid() != reporter.process) return false;
  const pid_t self = ::gettid();
  pid_t first = 0;
  if (!reporter.crashing_thread.compare_exchange_strong(first, self)) {
    if (first == self) die_of(reporter.signal.load());
    for (;;) ::pause();
  }
  reporter.signal = signal;
  // Anew, because the crash may have been preceded by stray writes.
  CrashPage& page = *new (reporter.page) CrashPage{};
  page.signal = signal;
  page.code = code;
  const bool is_fault =
      signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;
  // SI_KERNEL: a fault whose address the processor did not tell, e.g. a non-canonical one.
  if (is_fault && code > 0 && code != SI_KERNEL) {
    page.has_fault_address = 1;
    page.fault_address = reinterpret_cast<std::uintptr_t>(fault_address);
  }
  std::atomic_ref(page.state).store(kFacts, std::memory_order_release);
  arm_watchdog();
  return true;
}

void complete_report() noexcept {
  std::atomic_ref(reporter.page->state).store(kComplete, std::memory_order_release);
}

/// Leaves the handler so that the process dies of `signal`: a fault by happening again.
void finish(int signal, int code) noexcept {
  const bool will_fault_again =
      code > 0 && (signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL);
  if (!will_fault_again) die_of(signal);
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
}

void on_fatal_signal(int signal, siginfo_t* info, void* data) noexcept {
  if (begin_report(signal, info->si_code, info->si_addr)) {
    auto& context = *static_cast<ucontext_t*>(data);
    const std::uintptr_t pc = registers_of(context).pc;
    const bool is_abort = signal == SIGABRT && info->si_code == SI_TKILL;
    if (is_abort) append_abort_text();
    const bool is_fetch = reporter.page->has_fault_address != 0 &&
                          reporter.page->fault_address == pc && signal == SIGSEGV;
    if (is_fetch && !find_loaded(pc)) {
      unwind_wild_call(context);
    } else {
      unwind({.start = pc, .skip_runtime = is_abort});
    }
    complete_report();
  }
  finish(signal, info->si_code);
}

[[noreturn]] void on_terminate() noexcept {
  const auto caller = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  if (begin_report(SIGABRT, SI_TKILL, nullptr)) {
    append_active_exception();
    unwind({.start = caller, .skip_runtime = true});
    complete_report();
  }
  die_of(SIGABRT);
}

void find_runtime() {
  reporter.abort_text = static_cast<const char* const*>(::dlsym(RTLD_DEFAULT, "__abort_msg"));
  const auto own = find_loaded(reinterpret_cast<std::uintptr_t>(&on_terminate));
  // One function of each library, chosen among those that sanitizers do not replace.
  const std::array names{"gnu_get_libc_version", "_ZSt9terminatev", "_Unwind_GetIP"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const void* symbol = ::dlsym(RTLD_DEFAULT, names[i]);
    const auto module = find_loaded(reinterpret_cast<std::uintptr_t>(symbol));
    // Linked statically: not to be told from the user's code, so nothing is left out.
    const bool is_apart = module && own && module->base != own->base && !module->is_program();
    reporter.runtime_bases[i] = is_apart ? module->base : 0;
  }
}

void install_alternate_stack() {
  const auto guard = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, guard + kAlternateStackBytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "mmap of the alternate signal stack");
  }
  stack_t stack{};
  stack.ss_sp = static_cast<std::byte*>(memory) + guard;
  stack.ss_size = kAlternateStackBytes;
  if (::mprotect(stack.ss_sp, stack.ss_size, PROT_READ | PROT_WRITE) != 0 ||
      ::sigaltstack(&stack, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "alternate signal stack");
  }
}

/// Runs once what a handler runs, so that libraries are loaded and symbols bound by then.
void warm_up() {
  unwind({.skip_runtime = true});
  ::pthread_sigmask(SIG_BLOCK, nullptr, nullptr);
  ::tgkill(::getpid(), ::gettid(), 0);
  ::alarm(0);
  new (reporter.page) CrashPage{};
}

// Coordinator side.

/// Length of the UTF-8 character that `text` begins with; 0 if it is malformed or a control.
std::size_t printable_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  std::uint32_t point = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
    point = (point << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0xa0, 0x800, 0x10000};
  const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
  return point >= kSmallest[length] && point <= 0x10ffff && !is_surrogate ? length : 0;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length != 0) {
      result.append(text.substr(0, length));
    } else {
      result.push_back(text[0] == '\n' || text[0] == '\t' ? ' ' : '?');
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

CrashFrame read_frame(const CrashPage& page, const PageFrame& frame) {
  CrashFrame result;
  result.address = frame.address;
  if (frame.module >= std::min<std::size_t>(page.module_count, kMaxModules)) return result;
  const PageModule& module = page.modules[frame.module];
  if (module.path_begin > kPathBytes || module.path_size > kPathBytes - module.path_begin) {
    return result;
  }
  result.module_base = module.base;
  result.build_id = module.build_id;
  result.module = printable({page.paths.data() + module.path_begin, module.path_size});
  return result;
}

}  // namespace

void install_crash_handlers(std::byte* page) {
  reporter.page = new (page) CrashPage{};
  reporter.process = ::getpid();
  reporter.crashing_thread = 0;
  const std::string program = program_path();
  program.copy(reporter.program.data(), reporter.program.size() - 1);
  find_runtime();
  install_alternate_stack();
  warm_up();
  std::set_terminate(&on_terminate);
  struct sigaction action {};
  action.sa_sigaction = &on_fatal_signal;
  // SA_NODEFER: a fault inside the handler comes back to it, which then gives up in good order.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int signal : kFatalSignals) {
    if (::sigaction(signal, &action, nullptr) != 0) {
      throw std::system_error(errno, std::generic_category(), "sigaction of a fatal signal");
    }
  }
}

std::optional<CrashReport> read_crash_report(const std::byte* page) {
  const auto* live_state = reinterpret_cast<const std::uint32_t*>(page);
  const std::uint32_t state = __atomic_load_n(live_state, __ATOMIC_ACQUIRE);
  if (state != kFacts && state != kComplete) return std::nullopt;
  CrashPage copy;
  std::memcpy(&copy, page, sizeof copy);
  const bool is_fatal =
      std::find(kFatalSignals.begin(), kFatalSignals.end(), copy.signal) != kFatalSignals.end();
  if (copy.magic != kMagic || !is_fatal) return std::nullopt;
  CrashReport report;
  report.signal = copy.signal;
  report.code = copy.code;
  report.has_fault_address = copy.has_fault_address != 0;
  if (report.has_fault_address) report.fault_address = copy.fault_address;
  if (copy.message_size <= kMessageBytes) {
    report.message = printable({copy.message.data(), copy.message_size});
  }
  if (copy.frame_count > kMaxFrames) return report;
  for (std::size_t i = 0; i < copy.frame_count; ++i) {
    report.frames.push_back(read_frame(copy, copy.frames[i]));
  }
  return report;
}

}  // namespace bulkhead::detail
