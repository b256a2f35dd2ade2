#ifndef PAGELIFT_LIB_UFFD_USERFAULT_FD_H_
#define PAGELIFT_LIB_UFFD_USERFAULT_FD_H_

#include <cstddef>
#include <ostream>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/event.h"
#include "lib/uffd/fault_kind.h"
#include "lib/uffd/fd_info.h"
#include "lib/uffd/features.h"
#include "lib/uffd/install_result.h"
#include "lib/uffd/operation.h"

namespace pagelift {

// Whether threads that wait for an installed page go on at once, or only after
// Wake(). Waking scans all waiting threads, so batches install asleep.
enum class WakeMode { kWake, kLeaveAsleep };

// Whether an installed page may be written, or reports its first write. The
// latter needs a range registered for FaultKind::kWriteProtect; there, the
// former loses the protection the page had.
enum class InstallAs { kWritable, kWriteProtected };

// What Move() does where its source has no page.
enum class SourceHoles { kRefuse, kSkip };

// What Probe() found out about a page.
enum class Registration {
  kRegistered,
  kNotRegistered,
  kEventPending,  // Read events, ask again.
  kTargetGone,
  kUnknown,
};

// A userfaultfd(2) whose UFFDIO_API handshake is done, and its owner. Closing
// the last descriptor of an address space turns its missing pages into zeros.
//
// Thread-safe: every call is one system call on an immutable descriptor.
// Addresses are the target's; nothing here dereferences them.
class UserfaultFd {
 public:
  // Opens one for our own memory, from /dev/userfaultfd where we may and from
  // the system call otherwise, with `required` and what there is of `optional`.
  // kUnimplemented names what the kernel lacks; kPermissionDenied says what to
  // do.
  static absl::StatusOr<UserfaultFd> Open(FeatureSet required,
                                          FeatureSet optional = {});

  // Does the handshake on a descriptor that another process opened and sent
  // before any: the target then needs none of the rights that `required` needs.
  static absl::StatusOr<UserfaultFd> Handshake(UniqueFd fd,
                                               FeatureSet required);

  // Takes over a descriptor whose handshake another process did, asks the
  // kernel for its features, and makes it close-on-exec and non-blocking.
  // kInvalidArgument if it is not a userfaultfd; kFailedPrecondition if its
  // handshake is not done. `fd` still has it after an error: any other may be
  // about one on which a target's memory depends.
  static absl::StatusOr<UserfaultFd> Adopt(UniqueFd&& fd);

  // Takes over the descriptor that a fork event of this one brought. Cannot
  // fail: a child's handshake and features are its parent's.
  UserfaultFd OfForkedChild(UniqueFd child) const {
    return UserfaultFd(std::move(child), features_);
  }

  // What the running kernel has.
  static absl::StatusOr<FeatureSet> AvailableFeatures();

  // Registers what is mapped in `range`, holes are skipped. `kinds` replaces
  // what was registered before unless it is part of that: always pass the
  // union. kResourceExhausted may also mean that the target is gone.
  absl::StatusOr<OperationSet> Register(PageRange range,
                                        FaultKinds kinds) const;
  // What is still missing reads as zeros from now on, and write protection is
  // gone. Wakes threads only where kMissing was registered: elsewhere Wake().
  absl::Status Unregister(PageRange range) const;

  // Installs `pages` at `first`. Replaces poison and (until the kernels after
  // Linux 6.18) guard markers without a word. REQUIRES: pages.size() is a whole
  // number of pages, at least one.
  InstallResult Copy(PageId first, absl::Span<const std::byte> pages,
                     WakeMode wake, InstallAs as = InstallAs::kWritable) const;
  InstallResult Zero(PageRange range, WakeMode wake) const;
  // Maps what the page cache of the shared file holds. Replaces poison as well.
  InstallResult Continue(PageRange range, WakeMode wake,
                         InstallAs as = InstallAs::kWritable) const;
  // Every access raises SIGBUS from now on, even after the descriptor is
  // closed.
  InstallResult Poison(PageRange range, WakeMode wake) const;
  // Moves pages, without a copy, within one address space, which must be ours.
  // kRangeGone also tells of a hole in the source, kFailed with EBUSY of a page
  // that is pinned or shared with a forked child, and kFailed with EINVAL of
  // mappings that are not alike or a target that is not ours.
  InstallResult Move(PageRange from, PageId to, WakeMode wake,
                     SourceHoles holes = SourceHoles::kRefuse) const;

  // All or an unknown part: there is no count. May span several mappings.
  InstallResult WriteProtect(PageRange range) const;
  InstallResult Unprotect(PageRange range, WakeMode wake) const;

  // Threads that wait in `range` look again. Harmless if nothing changed, and
  // works where nothing is mapped any more.
  absl::Status Wake(PageRange range) const;

  // Whether a mapping registered with a userfaultfd, this or another, lies at
  // `page`. Changes nothing and needs no privilege. kUnknown for huge pages.
  Registration Probe(PageId page) const;

  // Reads what is queued and decodes it; empty if nothing is. The span is valid
  // until the next call with the same buffer, which destroys what is left in
  // it. kResourceExhausted if no descriptor is free for a forked child: nothing
  // is lost, free one and read again. If a message cannot be decoded, the
  // others are still in buffer.events().
  absl::StatusOr<absl::Span<Event>> ReadEvents(EventBuffer& buffer) const;

  // The first half of that: raw messages for DecodeEvent(), a whole number of
  // them, straight from the kernel into `into`. Returns how many bytes; 0 if
  // nothing is queued. What was asked to wait goes on as soon as it is written.
  // REQUIRES: `into` is mapped, writable, and has room for one message.
  absl::StatusOr<size_t> ReadRaw(absl::Span<std::byte> into) const;

  // How many faults wait. A thread that waits and is never counted as served
  // was lost somewhere.
  absl::StatusOr<UserfaultFdInfo> Info() const;

  FeatureSet features() const { return features_; }
  int fd() const { return fd_.get(); }  // To poll or send; still ours.

  // Gives the descriptor up, to be sent or kept elsewhere.
  UniqueFd Release() && { return std::move(fd_); }

 private:
  UserfaultFd(UniqueFd fd, FeatureSet features);

  UniqueFd fd_;
  FeatureSet features_;
};

std::ostream& operator<<(std::ostream& out, Registration registration);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_USERFAULT_FD_H_
