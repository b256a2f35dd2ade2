#include "lib/uffd/userfault_fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/uffd/uffd_abi.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

constexpr int kDescriptorFlags = O_CLOEXEC | O_NONBLOCK;

// The enumerators are the kernel's bit numbers.
static_assert(FaultKinds(FaultKind::kMissing).bits() ==
              UFFDIO_REGISTER_MODE_MISSING);
static_assert(FaultKinds(FaultKind::kWriteProtect).bits() ==
              UFFDIO_REGISTER_MODE_WP);
static_assert(FaultKinds(FaultKind::kMinor).bits() ==
              UFFDIO_REGISTER_MODE_MINOR);
static_assert(static_cast<unsigned>(Operation::kContinue) == _UFFDIO_CONTINUE);

uffdio_range RawRange(PageRange range) {
  return {AddressOf(range.first), range.count.bytes()};
}

template <typename Flag>
uint64_t If(bool condition, Flag flag) {
  return condition ? static_cast<uint64_t>(flag) : 0;
}

absl::StatusOr<UniqueFd> OpenDescriptor() {
  UniqueFd device(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (device.valid()) {
    UniqueFd fd(ioctl(device.get(), abi::kIocNew, kDescriptorFlags));
    if (fd.valid()) return fd;
  }
  UniqueFd fd(static_cast<int>(syscall(SYS_userfaultfd, kDescriptorFlags)));
  if (fd.valid()) return fd;
  if (errno != EPERM) return SysError("userfaultfd");
  return SysErrorOf(
      EPERM,
      "userfaultfd: give access to /dev/userfaultfd, or CAP_SYS_PTRACE, or set "
      "the sysctl vm.unprivileged_userfaultfd to 1; in a container, its "
      "seccomp "
      "profile and its device rules have to allow it too");
}

absl::Status SetDescriptorFlags(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return SysError("fcntl F_SETFD");
  // A blocking userfaultfd cannot be polled: it answers POLLERR.
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return SysError("fcntl F_SETFL");
  }
  return absl::OkStatus();
}

// Returns the features there are.
absl::StatusOr<FeatureSet> CallApi(int fd, FeatureSet wanted) {
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = wanted.bits();
  if (ioctl(fd, UFFDIO_API, &api) == 0) {
    return FeatureSet::FromBits(api.features);
  }
  if (errno == EPERM && wanted.Has(Feature::kEventFork)) {
    return SysErrorOf(EPERM, "UFFDIO_API: EVENT_FORK needs CAP_SYS_PTRACE");
  }
  return SysError("UFFDIO_API with ", ToString(wanted));
}

absl::Status CheckAvailable(FeatureSet required, FeatureSet available) {
  if (available.HasAll(required)) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(
      "the userfaultfd of this kernel lacks ", ToString(required - available)));
}

// What is in force after asking for `wanted`: one implies another.
FeatureSet InForce(FeatureSet wanted) {
  return wanted.Has(Feature::kWpAsync) ? wanted | Feature::kWpUnpopulated
                                       : wanted;
}

// A page of ours that nobody can read.
uint64_t UnreadableAddress() {
  static void* const page =
      mmap(nullptr, kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED) << "mmap of one page: errno " << errno;
  return reinterpret_cast<uint64_t>(page);
}

InstallResult RawCopy(int fd, PageRange to, uint64_t from, uint64_t mode) {
  uffdio_copy args = {};
  args.dst = AddressOf(to.first);
  args.src = from;
  args.len = to.count.bytes();
  args.mode = mode;
  args.copy = kResultUntouched;
  const int returned = ioctl(fd, UFFDIO_COPY, &args);
  return DecodeInstall(returned, errno, args.copy, to.count);
}

InstallResult RawWriteProtect(int fd, PageRange range, uint64_t mode) {
  uffdio_writeprotect args = {};
  args.range = RawRange(range);
  args.mode = mode;
  const int returned = ioctl(fd, UFFDIO_WRITEPROTECT, &args);
  return DecodeInstall(returned, errno, kResultUntouched, range.count);
}

}  // namespace

UserfaultFd::UserfaultFd(UniqueFd fd, FeatureSet features)
    : fd_(std::move(fd)), features_(features) {}

absl::StatusOr<FeatureSet> UserfaultFd::AvailableFeatures() {
  // Asking is a handshake, and a descriptor does only one: this one is for
  // asking.
  ASSIGN_OR_RETURN(UniqueFd probe, OpenDescriptor());
  return CallApi(probe.get(), FeatureSet());
}

absl::StatusOr<UserfaultFd> UserfaultFd::Open(FeatureSet required,
                                              FeatureSet optional) {
  ASSIGN_OR_RETURN(FeatureSet available, AvailableFeatures());
  RETURN_IF_ERROR(CheckAvailable(required, available));
  const FeatureSet wanted = required | (optional & available);
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDescriptor());
  RETURN_IF_ERROR(CallApi(fd.get(), wanted).status());
  return UserfaultFd(std::move(fd), InForce(wanted));
}

absl::StatusOr<UserfaultFd> UserfaultFd::Handshake(UniqueFd fd,
                                                   FeatureSet required) {
  ASSIGN_OR_RETURN(UserfaultFdInfo info, ReadFdInfo(fd.get()));
  if (info.handshake_done) {
    return absl::FailedPreconditionError(
        "the handshake of this userfaultfd is done already");
  }
  RETURN_IF_ERROR(SetDescriptorFlags(fd.get()));
  const absl::Status called = CallApi(fd.get(), required).status();
  if (absl::IsInvalidArgument(called)) {
    // The kernel does not say which it lacks. We may not be allowed to ask.
    absl::StatusOr<FeatureSet> available = AvailableFeatures();
    if (available.ok()) RETURN_IF_ERROR(CheckAvailable(required, *available));
  }
  RETURN_IF_ERROR(called);
  return UserfaultFd(std::move(fd), InForce(required));
}

absl::StatusOr<UserfaultFd> UserfaultFd::Adopt(UniqueFd&& fd) {
  ASSIGN_OR_RETURN(UserfaultFdInfo info, ReadFdInfo(fd.get()));
  if (!info.handshake_done) {
    return absl::FailedPreconditionError(
        "the handshake of this userfaultfd was never done");
  }
  RETURN_IF_ERROR(SetDescriptorFlags(fd.get()));
  return UserfaultFd(std::move(fd), info.features);
}

absl::StatusOr<OperationSet> UserfaultFd::Register(PageRange range,
                                                   FaultKinds kinds) const {
  uffdio_register args = {};
  args.range = RawRange(range);
  args.mode = kinds.bits();
  if (ioctl(fd_.get(), UFFDIO_REGISTER, &args) != 0) {
    const int error = errno;
    std::ostringstream what;
    what << "UFFDIO_REGISTER " << range << " for " << kinds;
    return SysErrorOf(error, what.str());
  }
  return OperationSet::FromBits(args.ioctls);
}

absl::Status UserfaultFd::Unregister(PageRange range) const {
  uffdio_range args = RawRange(range);
  if (ioctl(fd_.get(), UFFDIO_UNREGISTER, &args) != 0) {
    return SysError("UFFDIO_UNREGISTER ", ToString(range));
  }
  return absl::OkStatus();
}

InstallResult UserfaultFd::Copy(PageId first, absl::Span<const std::byte> pages,
                                WakeMode wake, InstallAs as) const {
  CHECK(pages.size() % kPageSize == 0) << pages.size();
  return RawCopy(fd_.get(), {first, PageCount(pages.size() >> kPageShift)},
                 reinterpret_cast<uint64_t>(pages.data()),
                 If(wake == WakeMode::kLeaveAsleep, UFFDIO_COPY_MODE_DONTWAKE) |
                     If(as == InstallAs::kWriteProtected, UFFDIO_COPY_MODE_WP));
}

InstallResult UserfaultFd::Zero(PageRange range, WakeMode wake) const {
  uffdio_zeropage args = {};
  args.range = RawRange(range);
  args.mode = If(wake == WakeMode::kLeaveAsleep, UFFDIO_ZEROPAGE_MODE_DONTWAKE);
  args.zeropage = kResultUntouched;
  const int returned = ioctl(fd_.get(), UFFDIO_ZEROPAGE, &args);
  return DecodeInstall(returned, errno, args.zeropage, range.count);
}

InstallResult UserfaultFd::Continue(PageRange range, WakeMode wake,
                                    InstallAs as) const {
  uffdio_continue args = {};
  args.range = RawRange(range);
  args.mode =
      If(wake == WakeMode::kLeaveAsleep, UFFDIO_CONTINUE_MODE_DONTWAKE) |
      If(as == InstallAs::kWriteProtected, abi::kContinueModeWp);
  args.mapped = kResultUntouched;
  const int returned = ioctl(fd_.get(), UFFDIO_CONTINUE, &args);
  return DecodeInstall(returned, errno, args.mapped, range.count);
}

InstallResult UserfaultFd::Poison(PageRange range, WakeMode wake) const {
  abi::PoisonArgs args = {};
  args.range = RawRange(range);
  args.mode = If(wake == WakeMode::kLeaveAsleep, abi::kPoisonModeDontWake);
  args.updated = kResultUntouched;
  const int returned = ioctl(fd_.get(), abi::kIocPoison, &args);
  return DecodeInstall(returned, errno, args.updated, range.count);
}

InstallResult UserfaultFd::Move(PageRange from, PageId to, WakeMode wake,
                                SourceHoles holes) const {
  abi::MoveArgs args = {};
  args.dst = AddressOf(to);
  args.src = AddressOf(from.first);
  args.len = from.count.bytes();
  args.mode = If(wake == WakeMode::kLeaveAsleep, abi::kMoveModeDontWake) |
              If(holes == SourceHoles::kSkip, abi::kMoveModeAllowSrcHoles);
  args.move = kResultUntouched;
  const int returned = ioctl(fd_.get(), abi::kIocMove, &args);
  return DecodeInstall(returned, errno, args.move, from.count);
}

InstallResult UserfaultFd::WriteProtect(PageRange range) const {
  return RawWriteProtect(fd_.get(), range, UFFDIO_WRITEPROTECT_MODE_WP);
}

InstallResult UserfaultFd::Unprotect(PageRange range, WakeMode wake) const {
  return RawWriteProtect(
      fd_.get(), range,
      If(wake == WakeMode::kLeaveAsleep, UFFDIO_WRITEPROTECT_MODE_DONTWAKE));
}

absl::Status UserfaultFd::Wake(PageRange range) const {
  uffdio_range args = RawRange(range);
  if (ioctl(fd_.get(), UFFDIO_WAKE, &args) != 0) {
    return SysError("UFFDIO_WAKE ", ToString(range));
  }
  return absl::OkStatus();
}

Registration UserfaultFd::Probe(PageId page) const {
  // A copy whose source cannot be read fails before it looks at the page, but
  // after it looked at the mapping.
  const InstallResult result =
      RawCopy(fd_.get(), {page, PageCount(1)}, UnreadableAddress(),
              UFFDIO_COPY_MODE_DONTWAKE);
  switch (result.outcome) {
    case Outcome::kSourceFault:
    case Outcome::kAlreadyPresent:
      return Registration::kRegistered;
    case Outcome::kRangeGone:
      return Registration::kNotRegistered;
    case Outcome::kEventPending:
      return Registration::kEventPending;
    case Outcome::kTargetGone:
      return Registration::kTargetGone;
    case Outcome::kInstalled:
    case Outcome::kInterrupted:
      CHECK(false) << "a page that nobody can read was read";
      break;
    case Outcome::kNoMemory:
    case Outcome::kFailed:
      break;
  }
  return Registration::kUnknown;
}

absl::StatusOr<size_t> UserfaultFd::ReadRaw(absl::Span<std::byte> into) const {
  CHECK(into.size() >= kEventMessageSize) << into.size();
  ssize_t length;
  do {
    length = read(fd_.get(), into.data(), into.size());
  } while (length < 0 && errno == EINTR);
  if (length >= 0) return static_cast<size_t>(length);
  if (errno == EAGAIN) return size_t{0};
  if (errno == EMFILE || errno == ENFILE) {
    return SysError(
        "userfaultfd: a target forks and no descriptor is free for its child, "
        "which waits; raise the limit of open files or close some");
  }
  return SysError("read from userfaultfd");
}

absl::StatusOr<absl::Span<Event>> UserfaultFd::ReadEvents(
    EventBuffer& buffer) const {
  // Whatever the last batch left is destroyed before its numbers are used
  // again.
  RETURN_IF_ERROR(buffer.Decode(0));
  ASSIGN_OR_RETURN(size_t length, ReadRaw(buffer.raw()));
  RETURN_IF_ERROR(buffer.Decode(length));
  return buffer.events();
}

absl::StatusOr<UserfaultFdInfo> UserfaultFd::Info() const {
  return ReadFdInfo(fd_.get());
}

std::ostream& operator<<(std::ostream& out, Registration registration) {
  switch (registration) {
    case Registration::kRegistered:
      return out << "registered";
    case Registration::kNotRegistered:
      return out << "not registered";
    case Registration::kEventPending:
      return out << "event pending";
    case Registration::kTargetGone:
      return out << "target gone";
    case Registration::kUnknown:
      return out << "unknown";
  }
  return out << "?";
}

}  // namespace pagelift
