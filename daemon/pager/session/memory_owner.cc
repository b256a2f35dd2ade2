#include "daemon/pager/session/memory_owner.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// How long one that was woken may take to sleep again, and one that was not is
// watched.
constexpr absl::Duration kSleepsAgainWithin = absl::Milliseconds(10);
constexpr absl::Duration kSleepsOnFor = absl::Milliseconds(2);
constexpr absl::Duration kLookEvery = absl::Microseconds(50);

// How often it has gone to sleep; nothing if it has ended. proc_pid_status(5)
std::optional<uint64_t> SleepsOf(ThreadId thread) {
  std::ifstream status(absl::StrCat("/proc/", thread.process, "/task/",
                                    thread.thread, "/status"));
  for (std::string word; status >> word;) {
    uint64_t sleeps = 0;
    if (word == "voluntary_ctxt_switches:" && status >> sleeps) return sleeps;
  }
  return std::nullopt;
}

bool SleepsAgain(ThreadId thread, uint64_t sleeps, absl::Duration within) {
  const absl::Duration end = MonotonicNow() + within;
  while (MonotonicNow() < end) {
    const std::optional<uint64_t> now = SleepsOf(thread);
    if (!now.has_value()) return false;
    if (*now != sleeps) return true;
    absl::SleepFor(kLookEvery);
  }
  return false;
}

bool WakesWith(absl::FunctionRef<void()> wake, ThreadId thread) {
  std::array<bool, 8> order = {true, true, true, true};
  std::shuffle(order.begin(), order.end(), std::random_device());
  return std::all_of(order.begin(), order.end(), [&](bool now) {
    const std::optional<uint64_t> sleeps = SleepsOf(thread);
    if (!sleeps.has_value()) return false;
    if (now) wake();
    return SleepsAgain(thread, *sleeps,
                       now ? kSleepsAgainWithin : kSleepsOnFor) == now;
  });
}

}  // namespace

std::optional<PidFd> FindOwner(absl::FunctionRef<void()> wake,
                               const std::vector<ThreadId>& sleepers) {
  for (ThreadId thread : sleepers) {
    // Before it is looked at: its number may be another's at any time.
    absl::StatusOr<PidFd> process = PidFd::Open(thread.process);
    if (!process.ok() || !WakesWith(wake, thread)) continue;
    if (!process->HasExited()) return *std::move(process);
  }
  return std::nullopt;
}

}  // namespace pagelift
