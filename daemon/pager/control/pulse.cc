#include "daemon/pager/control/pulse.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <optional>
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

absl::StatusOr<std::unique_ptr<Pulse>> Pulse::Start(SessionRegistry& registry,
                                                    absl::Duration patience,
                                                    HolderPage& page) {
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<Pulse>(
      new Pulse(registry, patience, page, std::move(stop)));
}

Pulse::Pulse(SessionRegistry& registry, absl::Duration patience,
             HolderPage& page, UniqueFd stop)
    : registry_(registry),
      patience_(patience),
      page_(page),
      stop_(std::move(stop)) {
  // In this order: the holder does not judge by what the last worker has left.
  page_.moved_ns = absl::ToInt64Nanoseconds(MonotonicNow());
  page_.patience_ns = absl::ToInt64Nanoseconds(patience);
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
  if (patience_ > absl::ZeroDuration()) {
    between = std::min(between, patience_ / 4);
  }
  pollfd stop = {stop_.get(), POLLIN, 0};
  do {
    const std::optional<absl::Duration> moved = registry_.LastMoved();
    page_.moved_ns =
        moved.has_value() ? absl::ToInt64Nanoseconds(*moved) : int64_t{0};
    Tell();
  } while (poll(&stop, 1, static_cast<int>(between / absl::Milliseconds(1))) <=
           0);
}

void Pulse::Tell() {
  if (!HasServiceManager()) return;
  std::string state = absl::StrCat("STATUS=", registry_.Summary());
  if (state == told_) return;
  told_ = std::move(state);
  TellServiceManager(told_.c_str());
}

}  // namespace pagelift
