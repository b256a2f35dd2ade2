#include "daemon/pager/holder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "daemon/pager/holder/replace_holder.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// Returns only if that is not possible. Nothing is lost as long as we live.
void TakeItsPlace(char* argv[], const HolderPage& page) {
  LOG(Error) << "the process that holds our descriptors has died; this one "
                "takes its place";
  ReplaceHolder("/proc/self/exe", argv, page);
  LOG(Error) << SysError("take the place of the holder");
}

}  // namespace

absl::StatusOr<std::unique_ptr<HolderWatch>> HolderWatch::Start(
    char* argv[], const HolderPage& page) {
  absl::StatusOr<PidFd> holder = PidFd::Open(page.holder);
  // Afterwards: only as long as it is our parent the number is its.
  if (getppid() != page.holder) {
    TakeItsPlace(argv, page);
    return absl::AbortedError("the holder has died, and has no successor");
  }
  RETURN_IF_ERROR(holder.status());
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<HolderWatch>(
      new HolderWatch(*std::move(holder), std::move(stop), argv, page));
}

HolderWatch::HolderWatch(PidFd holder, UniqueFd stop, char* argv[],
                         const HolderPage& page)
    : holder_(std::move(holder)),
      stop_(std::move(stop)),
      argv_(argv),
      page_(page),
      thread_([this] { Run(); }) {}

HolderWatch::~HolderWatch() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void HolderWatch::Run() {
  NameThisThread("pl-holder");
  pollfd watched[] = {{stop_.get(), POLLIN, 0}, {holder_.fd(), POLLIN, 0}};
  while (poll(watched, 2, -1) < 0) {
  }
  if (watched[0].revents != 0) return;
  TakeItsPlace(argv_, page_);
}

}  // namespace pagelift
