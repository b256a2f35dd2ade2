#include "daemon/pager/holder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "daemon/pager/holder/replace_holder.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"

namespace pagelift {

absl::StatusOr<std::unique_ptr<HolderWatch>> HolderWatch::Start(
    char* argv[], const HolderPage& page) {
  ASSIGN_OR_RETURN(PidFd holder, PidFd::Open(page.holder));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<HolderWatch>(
      new HolderWatch(std::move(holder), std::move(stop), argv, page));
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
  LOG(Error) << "the process that holds our descriptors has died; this one "
                "takes its place";
  BecomeHolder("/proc/self/exe", argv_, page_);
  // Nothing is lost as long as we live.
  LOG(Error) << SysError("take the place of the holder");
}

}  // namespace pagelift
