#include "tests/stress/lazify/memory_taking.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/range_set.h"
#include "lib/uffd/event.h"

namespace pagelift::stress {
namespace {

absl::StatusOr<UserfaultFd> OpenUserfaultFdOf(const StoppedProcess& process,
                                              FeatureSet features) {
  ASSIGN_OR_RETURN(int64_t theirs,
                   process.Call(SYS_userfaultfd, {O_CLOEXEC | O_NONBLOCK}));
  if (theirs < 0) {
    return absl::ErrnoToStatus(static_cast<int>(-theirs),
                               "userfaultfd(2) in the process");
  }
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, process.pid(), 0)));
  UniqueFd ours(static_cast<int>(
      syscall(SYS_pidfd_getfd, pidfd.get(), static_cast<int>(theirs), 0)));
  if (!ours.valid()) return SysError("pidfd_getfd");
  ASSIGN_OR_RETURN(int64_t closed,
                   process.Call(SYS_close, {static_cast<uint64_t>(theirs)}));
  if (closed != 0) return absl::InternalError("close(2) in the process");
  return UserfaultFd::Handshake(std::move(ours), features);
}

// Drops pages that are registered already: anybody who looks at a page that is
// neither there nor registered, be it only ps(1) at the arguments, makes it
// zero for ever.
class Dropping {
 public:
  Dropping(const StoppedProcess& process, const UserfaultFd& uffd)
      : process_(process), uffd_(uffd) {}

  absl::Status DropAll(const std::vector<PageRange>& ranges) {
    // The kernel writes to the first thread's own data each time that it goes
    // on to the next call, so those are dropped by the last call.
    ASSIGN_OR_RETURN(PageId touched, process_.ThreadPointer());
    PageRange last;
    for (PageRange range : ranges) {
      if (range.Contains(touched)) {
        last = range;
      } else {
        RETURN_IF_ERROR(Drop(range));
      }
    }
    return last.empty() ? absl::OkStatus() : Drop(last);
  }

 private:
  absl::Status Drop(PageRange pages) {
    absl::Status read;
    ASSIGN_OR_RETURN(
        int64_t dropped,
        process_.Call(
            SYS_madvise,
            {AddressOf(pages.first), pages.count.bytes(), MADV_DONTNEED}, [&] {
              // The call returns when its events are read.
              if (read.ok()) {
                read = uffd_.ReadEvents(events_).status();
              }
            }));
    RETURN_IF_ERROR(read);
    if (dropped == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(static_cast<int>(-dropped),
                               absl::StrCat("drop ", ToString(pages)));
  }

  const StoppedProcess& process_;
  const UserfaultFd& uffd_;
  EventBuffer events_;
};

// What is there now is not what was saved.
absl::Status CheckNothingIsPresent(const StoppedProcess& process) {
  ASSIGN_OR_RETURN(std::vector<AnonymousMapping> mappings,
                   AnonymousMemoryOf(process));
  for (const AnonymousMapping& mapping : mappings) {
    if (!mapping.present.empty()) {
      return absl::InternalError(absl::StrCat(ToString(mapping.present.front()),
                                              " of ", ToString(mapping.pages),
                                              " came back too early"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UserfaultFd> TakeMemoryAway(
    const StoppedProcess& process,
    const std::vector<AnonymousMapping>& mappings, FeatureSet features) {
  ASSIGN_OR_RETURN(UserfaultFd uffd, OpenUserfaultFdOf(process, features));
  RangeSet ranges;
  for (const AnonymousMapping& mapping : mappings) {
    ranges.Insert(mapping.pages);
  }
  for (PageRange range : ranges.ranges()) {
    RETURN_IF_ERROR(uffd.Register(range, FaultKind::kMissing).status());
  }
  RETURN_IF_ERROR(Dropping(process, uffd).DropAll(ranges.ranges()));
  RETURN_IF_ERROR(CheckNothingIsPresent(process));
  return uffd;
}

}  // namespace pagelift::stress
