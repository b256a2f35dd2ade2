#include "daemon/pager/control/pulse.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/pager/holder/service_manager.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// At most: the holder looks as often.
constexpr absl::Duration kBetween = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<Pulse>> Pulse::Start(Options options,
                                                    HolderPage& page) {
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<Pulse>(
      new Pulse(std::move(options), page, std::move(stop)));
}

Pulse::Pulse(Options options, HolderPage& page, UniqueFd stop)
    : options_(std::move(options)), page_(page), stop_(std::move(stop)) {
  // In this order: the holder does not judge by what the last worker has left.
  page_.moved_ns = absl::ToInt64Nanoseconds(MonotonicNow());
  page_.patience_ns = absl::ToInt64Nanoseconds(options_.patience);
  thread_ = std::thread([this] { Run(); });
}

Pulse::~Pulse() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  page_.moved_ns = 0;
}

void Pulse::Run() {
  NameThisThread("pl-pulse");
  absl::Duration between = kBetween;
  if (options_.patience > absl::ZeroDuration()) {
    between = std::min(between, options_.patience / 4);
  }
  pollfd stop = {stop_.get(), POLLIN, 0};
  do {
    page_.moved_ns = absl::ToInt64Nanoseconds(options_.last_moved());
    Tell();
  } while (poll(&stop, 1, static_cast<int>(between / absl::Milliseconds(1))) <=
           0);
}

void Pulse::Tell() {
  if (!HasServiceManager()) return;
  std::string state = absl::StrCat("STATUS=", options_.summary());
  if (state == told_) return;
  told_ = std::move(state);
  TellServiceManager(told_.c_str());
}

}  // namespace pagelift
