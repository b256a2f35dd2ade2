// What a service manager has kept of a session, and what it has not.

#include <unistd.h>

#include <optional>

#include "daemon/pager/journal/descriptor_kind.h"
#include "daemon/pager/journal/session_journal.h"
#include "lib/base/log.h"
#include "lib/process/pidfd.h"
#include "lib/uffd/event.h"

namespace pagelift {
namespace {

// Its userfaultfd was closed: from then on what was missing reads as zeros.
void EndTarget(const SpaceRecord& space) {
  if (!IsPidFdOf(space.pidfd, space.pid)) {
    LOG(Error) << "the userfaultfd of process " << space.pid
               << " (0: its number is not known) is lost, and so is the memory "
                  "that it lacked, which reads as zeros: end that process";
    return;
  }
  LOG(Error) << "the userfaultfd of process " << space.pid
             << " is lost, and with it memory that the process lacked: killed";
  UniqueFd fd(dup(space.pidfd));
  PidFd process = PidFd::Adopt(std::move(fd), space.pid);
  const absl::Status killed = process.Kill();
  if (!killed.ok() && !absl::IsNotFound(killed)) LOG(Error) << killed;
}

}  // namespace

void SessionJournal::CheckRestored(bool trusted) {
  SessionRecord& session = record();
  if (!IsSocket(session.listener)) session.listener = -1;
  if (!IsSocket(session.handoff)) session.handoff = -1;
  ForEachOpen([&](size_t index, SpaceRecord& space) {
    if (trusted && IsUserfaultFd(space.uffd)) {
      if (!IsPidFdOf(space.pidfd, space.pid)) space.pidfd = -1;
      CheckMessages(index);
      return;
    }
    EndTarget(space);
    space.state = SpaceRecord::kClosing;
  });
}

// A fork whose event was read, and no more: its child's userfaultfd is lost.
void SessionJournal::CheckMessages(size_t index) {
  ForEachMessage(index, [&](absl::Span<std::byte> message) {
    const std::optional<int> child = ChildNamedIn(message);
    if (!child.has_value() || IsUserfaultFd(*child)) return;
    LOG(Error) << "a process that process " << slot(index).pid
               << " has just forked has lost memory, which reads as zeros: end "
                  "it";
    MakeVoid(message);
  });
}

}  // namespace pagelift
