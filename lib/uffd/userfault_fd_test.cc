// Against the running kernel: how a userfaultfd is opened, adopted, and told
// which ranges are its own. Installing and events have tests of their own.

#include "lib/uffd/userfault_fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/wait_for_events.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

// No events: here nobody reads them, and whoever unmaps would wait.
constexpr FeatureSet kFeatures = Feature::kPagefaultFlagWp | Feature::kThreadId;

std::vector<std::byte> Pattern(uint64_t pages, int value) {
  return std::vector<std::byte>(pages * kPageSize,
                                static_cast<std::byte>(value));
}

UniqueFd OpenRaw(int flags) {
  return UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, flags)));
}

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// Fails, and never skips, where a userfaultfd cannot be opened.
class UserfaultFdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = UserfaultFd::Open(kFeatures);
    ASSERT_OK(opened);
    uffd_.emplace(*std::move(opened));
  }
  const UserfaultFd& uffd() const { return *uffd_; }

 private:
  std::optional<UserfaultFd> uffd_;
};

TEST_F(UserfaultFdTest, OpenReportsWhatItEnabled) {
  EXPECT_EQ(uffd().features(), kFeatures);
  EXPECT_EQ(fcntl(uffd().fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(fcntl(uffd().fd(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(UserfaultFdTest, OpenNamesWhatTheKernelLacks) {
  EXPECT_THAT(UserfaultFd::Open(Feature::kEventFork |
                                FeatureSet::FromBits(uint64_t{1} << 40)),
              StatusIs(absl::StatusCode::kUnimplemented,
                       AllOf(HasSubstr("lacks bit 40"),
                             ::testing::Not(HasSubstr("EVENT_FORK")))));
}

TEST_F(UserfaultFdTest, OpenTakesOptionalFeaturesWhereThereAreAny) {
  const FeatureSet absent = FeatureSet::FromBits(uint64_t{1} << 40);
  ASSERT_OK_AND_ASSIGN(
      UserfaultFd opened,
      UserfaultFd::Open(FeatureSet(), absent | Feature::kThreadId));
  EXPECT_EQ(opened.features(), FeatureSet(Feature::kThreadId));
}

TEST_F(UserfaultFdTest, OpenSaysWhatToDoWhereItIsNotPermitted) {
  ASSERT_EQ(geteuid(), 0u) << "this test gives rights up, so it needs them";
  ASSERT_EQ(seteuid(65534), 0);
  auto opened = UserfaultFd::Open(FeatureSet());
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(opened, StatusIs(absl::StatusCode::kPermissionDenied,
                               AllOf(HasSubstr("/dev/userfaultfd"),
                                     HasSubstr("CAP_SYS_PTRACE"))));
}

TEST_F(UserfaultFdTest, AdoptReadsTheFeaturesFromTheKernel) {
  ASSERT_OK_AND_ASSIGN(UserfaultFd adopted,
                       UserfaultFd::Adopt(Duplicate(uffd().fd())));
  EXPECT_EQ(adopted.features(), uffd().features());
}

TEST_F(UserfaultFdTest, AdoptMakesADescriptorPollable) {
  const int flags = fcntl(uffd().fd(), F_GETFL);
  ASSERT_EQ(fcntl(uffd().fd(), F_SETFL, flags & ~O_NONBLOCK), 0);
  ASSERT_OK_AND_ASSIGN(UserfaultFd adopted,
                       UserfaultFd::Adopt(UniqueFd(dup(uffd().fd()))));
  EXPECT_EQ(fcntl(adopted.fd(), F_GETFD), FD_CLOEXEC);
  EventBuffer buffer;
  ASSERT_OK_AND_ASSIGN(absl::Span<Event> events, adopted.ReadEvents(buffer));
  EXPECT_TRUE(events.empty());
}

TEST_F(UserfaultFdTest, AdoptRefusesAnotherKindOfDescriptor) {
  EXPECT_THAT(UserfaultFd::Adopt(UniqueFd(eventfd(0, EFD_CLOEXEC))),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not a userfaultfd")));
  EXPECT_THAT(UserfaultFd::Adopt(UniqueFd(open("/dev/zero", O_CLOEXEC))),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(UserfaultFd::Adopt(UniqueFd()).ok());
}

TEST_F(UserfaultFdTest, AdoptRefusesADescriptorWithoutHandshake) {
  EXPECT_THAT(UserfaultFd::Adopt(OpenRaw(O_CLOEXEC)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(UserfaultFdTest, HandshakeCompletesARawDescriptor) {
  ASSERT_OK_AND_ASSIGN(
      UserfaultFd done,
      UserfaultFd::Handshake(OpenRaw(O_CLOEXEC), kLayoutEvents));
  MappedPages pages(done, PageCount(1));
  EXPECT_EQ(done.Zero(pages.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
}

TEST_F(UserfaultFdTest, HandshakeIsDoneOnlyOnce) {
  EXPECT_THAT(UserfaultFd::Handshake(Duplicate(uffd().fd()), FeatureSet()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(UserfaultFdTest, HandshakeNamesWhatTheKernelLacks) {
  EXPECT_THAT(UserfaultFd::Handshake(OpenRaw(O_CLOEXEC),
                                     FeatureSet::FromBits(uint64_t{1} << 40)),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("bit 40")));
}

TEST_F(UserfaultFdTest, HandshakeSaysThatForkEventsNeedACapability) {
  UniqueFd raw = OpenRaw(O_CLOEXEC);
  ASSERT_EQ(seteuid(65534), 0);
  auto done = UserfaultFd::Handshake(std::move(raw), kLayoutEvents);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(done, StatusIs(absl::StatusCode::kPermissionDenied,
                             HasSubstr("EVENT_FORK needs CAP_SYS_PTRACE")));
}

TEST_F(UserfaultFdTest, WriteProtectAsyncImpliesUnpopulated) {
  ASSERT_OK_AND_ASSIGN(UserfaultFd opened,
                       UserfaultFd::Open(Feature::kWpAsync));
  ASSERT_OK_AND_ASSIGN(UserfaultFdInfo info, opened.Info());
  EXPECT_EQ(opened.features(), info.features);
}

TEST_F(UserfaultFdTest, RegisterTellsWhatTheMemoryAllows) {
  MappedPages anonymous(PageCount(2));
  ASSERT_OK_AND_ASSIGN(
      OperationSet operations,
      uffd().Register(anonymous.range(),
                      FaultKind::kMissing | FaultKind::kWriteProtect));
  EXPECT_TRUE(operations.Has(Operation::kCopy));
  EXPECT_TRUE(operations.Has(Operation::kPoison));
  EXPECT_TRUE(operations.Has(Operation::kWriteProtect));
  EXPECT_FALSE(operations.Has(Operation::kContinue));

  MappedPages shared(PageCount(2), Backing::kSharedFile);
  ASSERT_OK_AND_ASSIGN(
      operations,
      uffd().Register(shared.range(), FaultKind::kMissing | FaultKind::kMinor));
  EXPECT_TRUE(operations.Has(Operation::kContinue));
}

TEST_F(UserfaultFdTest, RegisterRefusesWhatCannotBeLazy) {
  const PageRange hole = {PageId(16), PageCount(4)};  // Below mmap_min_addr.
  EXPECT_THAT(uffd().Register(hole, FaultKind::kMissing),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[0x10000..0x14000 4p] for missing")));

  MappedPages pages(PageCount(2));
  EXPECT_THAT(uffd().Register(pages.range(), FaultKinds()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(uffd().Register(pages.range(), FaultKind::kMinor),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(uffd().Register(pages.range(0, 0), FaultKind::kMissing),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(uffd().Register({PageId(uint64_t{1} << 51), PageCount(1)},
                              FaultKind::kMissing),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UserfaultFdTest, RegisterRefusesMemoryOfAnotherUserfaultfd) {
  MappedPages pages(uffd(), PageCount(2));
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  EXPECT_THAT(
      other.Register(pages.range(), FaultKind::kMissing),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("busy")));
  EXPECT_THAT(other.Unregister(pages.range()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UserfaultFdTest, RegisterRefusesAReadOnlySharedFile) {
  UniqueFd writable(memfd_create("read-only", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(writable.get(), kPageSize), 0);
  const std::string path = "/proc/self/fd/" + std::to_string(writable.get());
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  void* at = mmap(nullptr, kPageSize, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(at, MAP_FAILED);
  const PageId page = PageContaining(reinterpret_cast<uint64_t>(at));
  EXPECT_THAT(uffd().Register({page, PageCount(1)}, FaultKind::kMissing),
              StatusIs(absl::StatusCode::kPermissionDenied));
  munmap(at, kPageSize);
}

TEST_F(UserfaultFdTest, RegisterSkipsHolesAndReplacesKinds) {
  MappedPages pages(PageCount(6));
  ASSERT_EQ(munmap(pages.data(2), 2 * kPageSize), 0);
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(2)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(4)), Registration::kRegistered);

  // Not a subset, so kMissing is gone: the page reads as zero, unasked.
  ASSERT_OK(uffd().Register(pages.range(0, 1), FaultKind::kWriteProtect));
  EXPECT_EQ(FaultingThread::StartRead(pages.data(0)).Result(), 0);
  ASSERT_OK(uffd().Unregister(pages.range(0, 2)));
  ASSERT_OK(uffd().Unregister(pages.range(4, 2)));
}

TEST_F(UserfaultFdTest, UnregisteredMemoryReadsAsZeroAndItsWaitersGoOn) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread thread = FaultingThread::StartRead(pages.data(1));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kNotRegistered);
  EXPECT_OK(uffd().Unregister(pages.range()));
}

TEST_F(UserfaultFdTest, UnregisterRefusesAHole) {
  EXPECT_THAT(uffd().Unregister({PageId(16), PageCount(1)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("UFFDIO_UNREGISTER [0x10000..")));
}

TEST_F(UserfaultFdTest, WakeMakesAThreadAskAgain) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  const auto page = Pattern(1, 7);
  uffd().Copy(pages.at(0), page, WakeMode::kLeaveAsleep);
  EXPECT_TRUE(thread.is_blocked());
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(UserfaultFdTest, WakeDoesNotLookAtMappings) {
  EXPECT_OK(uffd().Wake({PageId(16), PageCount(1)}));
  EXPECT_THAT(uffd().Wake({PageId(16), PageCount(0)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UserfaultFdTest, InfoCountsThreadsThatWait) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread first = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  FaultingThread second = FaultingThread::StartRead(pages.data(1));
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  ASSERT_OK_AND_ASSIGN(UserfaultFdInfo info, uffd().Info());
  EXPECT_EQ(info.unread_faults, 1u);
  EXPECT_EQ(info.waiting_faults, 2u);
  uffd().Zero(pages.range(), WakeMode::kWake);
}

}  // namespace
}  // namespace pagelift
