// SPDX-License-Identifier: MIT
//
// The worker's crash handlers, which write the crash page.
// What runs in a handler is async-signal-safe: no allocation, no lock, only system calls, the
// unwinder (warmed up at installation) and _dl_find_object. Facts are published before unwinding,
// and each frame as it is found, because a damaged stack may kill the handler half-way.
#include "serialization/demangle.hpp"
#include "worker/crash_page.hpp"
#include "worker/module.hpp"
#include "worker/task_clock.hpp"
#include <bulkhead/detail/key_mark.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <cxxabi.h>
#include <dlfcn.h>
#include <exception>
#include <new>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/ucontext.h>
#include <system_error>
#include <typeinfo>
#include <unistd.h>
#include <unwind.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kAlternateStackBytes = std::size_t{256} << 10;
constexpr unsigned kReportSeconds = 5;  // after which a handler that hangs is given up

static_assert(std::atomic_ref<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<pid_t>::is_always_lock_free);

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

/// Not in signal context: may allocate.
void append_active_exception() noexcept {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) {
    append_message("std::terminate without an active exception");
    return;
  }
  append_message("uncaught ");
  append_message(demangled(type->name()).c_str());
  try {
    throw;
  } catch (const std::exception& error) {
    append_message(": ");
    append_message(error.what());
  } catch (int value) {
    append_message(": ");
    append_message(std::to_string(value).c_str());
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
  const bool is_fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL;
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

void append_number(const char* what, std::int64_t number) noexcept {
  std::array<char, 24> digits{};
  std::to_chars(digits.data(), digits.data() + digits.size() - 1, number);
  append_message(what);
  append_message(digits.data());
}

/// Says which limit of this process it was. The kernel has raised it by `raised` meanwhile.
void append_limit(const char* name, __rlimit_resource resource, const char* unit,
                  rlim_t raised = 0) noexcept {
  rlimit limit{};
  ::getrlimit(resource, &limit);
  limit.rlim_cur -= raised;
  append_number(name, static_cast<std::int64_t>(limit.rlim_cur));
  append_message(unit);
}

/// What the processor or the kernel meant, where that is more than the signal says.
void append_fault_text(int signal, const siginfo_t& info, std::uintptr_t sp) noexcept {
  constexpr std::uintptr_t kLargestFrame = 1 << 20;
  constexpr std::uintptr_t kPage = 4096;
  const auto address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  const bool from_kernel = info.si_code == SI_KERNEL;
  if (signal == SIGXCPU && from_kernel) {
    append_limit("the limit of its CPU time is ", RLIMIT_CPU, " s", 1);
  }
  if (signal == SIGXFSZ) append_limit("the limit of a file is ", RLIMIT_FSIZE, " bytes");
  if (signal == SIGSYS) append_number("forbidden system call ", info.si_syscall);
  if (signal == SIGFPE && info.si_code == FPE_INTDIV) append_message("integer division by zero");
  if (signal != SIGSEGV || (info.si_code != SEGV_MAPERR && info.si_code != SEGV_ACCERR)) return;
  if (address + kLargestFrame > sp && address < sp + kPage) {
    append_message("stack overflow");
  } else if (info.si_code == SEGV_ACCERR) {
    append_message("the memory is protected");
  }
}

void append_key() noexcept {
  std::array<char, KeyMark::kMostText> text;
  const std::size_t size = KeyMark::own().describe(text);
  if (size != 0 && reporter.page->message_size != 0) append_message(", ");
  append_message(text.data(), size);
}

void on_fatal_signal(int signal, siginfo_t* info, void* data) noexcept {
  if (signal == SIGTERM && tell_of_stop()) return;
  if (begin_report(signal, info->si_code, info->si_addr)) {
    auto& context = *static_cast<ucontext_t*>(data);
    const std::uintptr_t pc = registers_of(context).pc;
    const bool is_abort = signal == SIGABRT && info->si_code == SI_TKILL;
    if (is_abort) append_abort_text();
    append_fault_text(signal, *info, registers_of(context).sp);
    append_key();
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
    append_key();
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

}  // namespace

void leave_last_words(std::string_view text) noexcept {
  if (!begin_report(0, 0, nullptr)) return;
  append_message(text.data(), text.size());
  complete_report();
}

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

}  // namespace bulkhead::detail
