#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TARGET_MEMORY_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TARGET_MEMORY_H_

#include <sys/types.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/process/registered_ranges.h"
#include "lib/uffd/event.h"
#include "lib/uffd/install_result.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {

// What an address space asks of the kernel. The functions mean what those of
// UserfaultFd mean; the other implementation is a model of the kernel, which
// can be made to race as the test says.
//
// Thread-safe. Destroying it turns the target's missing pages into zeros.
class TargetMemory {
 public:
  virtual ~TargetMemory() = default;

  virtual absl::StatusOr<absl::Span<Event>> ReadEvents(EventBuffer& buffer) = 0;
  virtual std::unique_ptr<TargetMemory> OfForkedChild(UniqueFd child) = 0;

  virtual InstallResult Copy(PageId first, absl::Span<const std::byte> pages,
                             WakeMode wake) = 0;
  virtual InstallResult Zero(PageRange range, WakeMode wake) = 0;
  virtual InstallResult Poison(PageRange range, WakeMode wake) = 0;
  virtual absl::Status Wake(PageRange range) = 0;

  virtual absl::StatusOr<OperationSet> Register(PageRange range,
                                                FaultKinds kinds) = 0;
  virtual absl::Status Unregister(PageRange range) = 0;
  virtual Registration Probe(PageId page) = 0;
  // As they are now, whatever events are still to come.
  virtual absl::StatusOr<RegisteredRanges> MappingsOf(pid_t pid) = 0;

  virtual int fd() const = 0;  // To poll.
};

// The real one.
std::unique_ptr<TargetMemory> MemoryBehind(UserfaultFd uffd);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TARGET_MEMORY_H_
