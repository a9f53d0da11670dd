// SPDX-License-Identifier: MIT
//
// The last words of a worker, as any bytes: what the coordinator makes of them is bounded and can
// be printed.
#include "worker/crash_page.hpp"

#include "runtime/post_mortem.hpp"
#include "tests/fuzz/budget.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"
#include "worker/module.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <string>
#include <sys/wait.h>

namespace bulkhead::fuzz {
namespace {

using namespace bulkhead::detail;

struct alignas(8) Page {
  std::array<std::byte, kCrashPageBytes> bytes{};
};

/// A page may have a path of 5 KiB for each of 64 frames, which become lines of text.
constexpr std::size_t kBudget = std::size_t{4} << 20;

/// A place in the code of this program, which the coordinator looks up: no committed file can know
/// where it is loaded.
void point_into_this_program(CrashPage& page, Input& input) {
  static const ModuleMap modules = ModuleMap::snapshot();
  const Module& module = modules.modules()[input.choice(2) % modules.modules().size()];
  const std::size_t at = input.choice(kMaxModules);
  page.modules[at].base = module.base;
  page.modules[at].build_id = module.build;
  PageFrame& frame = page.frames[input.choice(kMaxFrames)];
  frame.module = static_cast<std::uint32_t>(at);
  frame.address = module.base + input.number<std::uint32_t>() % (1U << 24);
}

void fill(Page& page, Input& input) {
  CrashPage sound;
  sound.state = kComplete;
  sound.signal = kFatalSignals[input.choice(kFatalSignals.size())];
  sound.frame_count = static_cast<std::uint32_t>(input.choice(kMaxFrames + 1));
  sound.module_count = static_cast<std::uint32_t>(input.choice(kMaxModules + 1));
  for (std::size_t lookups = input.choice(4); lookups != 0; --lookups)
    point_into_this_program(sound, input);
  std::memcpy(page.bytes.data(), &sound, sizeof sound);
  while (!input.empty()) {
    const std::size_t offset = input.number<std::uint16_t>() % kCrashPageBytes;
    const auto bytes = input.bytes(input.number<std::uint8_t>());
    const std::size_t size = std::min(bytes.size(), kCrashPageBytes - offset);
    if (size != 0) std::memcpy(page.bytes.data() + offset, bytes.data(), size);
  }
}

bool printable(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void look_at(const std::optional<CrashReport>& report) {
  ControlMessage death;
  death.code = CLD_KILLED;
  death.value = report ? report->signal : SIGSEGV;
  const FailureDetails details = crash_details(death, report);
  require(printable(details.message) && details.message.size() < 3 * kPathBytes,
          "the message is short and can be printed");
  require(std::all_of(details.backtrace.begin(), details.backtrace.end(), printable),
          "the stack can be printed");
  require(printable(cause_of_death(death, report)), "the cause can be printed");
  if (!report) return;
  require(report->frames.size() <= kMaxFrames, "no more frames than there is room for");
  for (const CrashFrame& frame : report->frames)
    require(printable(frame.module), "modules can be printed");
}

}  // namespace
}  // namespace bulkhead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead::fuzz;
  Input input(data, size);
  Page page;
  fill(page, input);
  const Budget budget(kBudget);
  look_at(read_crash_report(page.bytes.data()));
  return 0;
}
