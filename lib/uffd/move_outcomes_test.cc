// UserfaultFd::Move() against the running kernel: which pages it takes, which
// it refuses to take, and from whom. The common answers are in install_test.cc.

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class MoveOutcomesTest : public UffdTest {
 protected:
  InstallResult Move(PageRange from, PageId to) const {
    return uffd().Move(from, to, WakeMode::kWake);
  }
};

// Keeps pages where they are, as a device does that is about to write to them.
class PinnedPages {
 public:
  explicit PinnedPages(const MappedPages& pages) {
    io_uring_params params = {};
    ring_.reset(static_cast<int>(syscall(SYS_io_uring_setup, 1, &params)));
    const iovec buffer = {pages.data(), pages.range().count.bytes()};
    pinned_ = syscall(SYS_io_uring_register, ring_.get(),
                      IORING_REGISTER_BUFFERS, &buffer, 1) == 0;
  }
  bool pinned() const { return pinned_; }
  // Waits until the pages are free again.
  bool Release() {
    return syscall(SYS_io_uring_register, ring_.get(),
                   IORING_UNREGISTER_BUFFERS, nullptr, 0) == 0;
  }

 private:
  UniqueFd ring_;
  bool pinned_ = false;
};

TEST_F(MoveOutcomesTest, ServesAWaitingThread) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(Move(source.range(), pages.at(0)).outcome, Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), 6);
}

TEST_F(MoveOutcomesTest, CanLeaveThoseWhoWaitAsleep) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(
      uffd().Move(source.range(), pages.at(0), WakeMode::kLeaveAsleep).outcome,
      Outcome::kInstalled);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 6);
}

TEST_F(MoveOutcomesTest, StopsAtTheFirstPresentPageAndWakesThoseBefore) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages source(PageCount(4));
  for (int i = 0; i < 4; ++i) *source.data(i) = std::byte{6};
  Copy(pages.at(2), 1);
  FaultingThread first = FaultingThread::StartRead(pages.data(1));
  FaultingThread last = FaultingThread::StartRead(pages.data(3));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  const InstallResult result = Move(source.range(), pages.at(0));
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(2));
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(first.Result(), 6);
  EXPECT_EQ(Move(source.range(2, 2), pages.at(2)).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(*source.data(2), std::byte{6});
  Move(source.range(3, 1), pages.at(3));
  EXPECT_EQ(last.Result(), 6);
}

TEST_F(MoveOutcomesTest, HoleAtTheFirstPageOfTheSource) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  EXPECT_EQ(Move(source.range(), pages.at(0)).outcome, Outcome::kRangeGone);
  const InstallResult skipped = uffd().Move(
      source.range(), pages.at(0), WakeMode::kWake, SourceHoles::kSkip);
  EXPECT_EQ(skipped.outcome, Outcome::kInstalled) << skipped;
  EXPECT_EQ(skipped.installed, PageCount(1));
  EXPECT_FALSE(pages.IsPresent(0));
}

TEST_F(MoveOutcomesTest, PageSharedWithAChildIsBusy) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  ForkedChild process;
  process.pid();
  const InstallResult result = Move(source.range(), pages.at(0));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error, EBUSY);
  process.Run();
  ASSERT_EQ(process.ExitCode(), 0);
  *source.data() = std::byte{5};  // It is ours alone again.
  EXPECT_EQ(Move(source.range(), pages.at(0)).outcome, Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 5);
}

TEST_F(MoveOutcomesTest, PinnedPageIsBusy) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  PinnedPages pinned(source);
  ASSERT_TRUE(pinned.pinned()) << "io_uring: errno " << errno;
  EXPECT_EQ(Move(source.range(), pages.at(0)).error, EBUSY);
  ASSERT_TRUE(pinned.Release());
  EXPECT_EQ(Move(source.range(), pages.at(0)).outcome, Outcome::kInstalled);
}

TEST_F(MoveOutcomesTest, SharedMemoryIsNotMoved) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages shared(PageCount(1), Backing::kSharedFile);
  *shared.data() = std::byte{6};
  EXPECT_EQ(Move(shared.range(), pages.at(0)).error, EINVAL);
  MappedPages shared_target(uffd(), PageCount(1), FaultKind::kMissing,
                            Backing::kSharedFile);
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  EXPECT_EQ(Move(source.range(), shared_target.at(0)).error, EINVAL);
}

TEST_F(MoveOutcomesTest, MappingsHaveToBeAlike) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages source(PageCount(2));
  *source.data(0) = std::byte{6};
  *source.data(1) = std::byte{6};
  ASSERT_EQ(mprotect(source.data(0), kPageSize, PROT_READ), 0);
  EXPECT_EQ(Move(source.range(0, 1), pages.at(0)).error, EINVAL);
  // Not mlock(3): a sanitizer makes it do nothing.
  ASSERT_EQ(syscall(SYS_mlock, source.data(1), kPageSize), 0);
  EXPECT_EQ(Move(source.range(1, 1), pages.at(1)).error, EINVAL);
  ASSERT_EQ(syscall(SYS_munlock, source.data(1), kPageSize), 0);
  EXPECT_EQ(Move(source.range(1, 1), pages.at(1)).outcome, Outcome::kInstalled);
}

TEST_F(MoveOutcomesTest, DoesNotCrossFromOneMappingIntoAnother) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages source(PageCount(2));
  *source.data(0) = std::byte{6};
  *source.data(1) = std::byte{6};
  ASSERT_EQ(mprotect(source.data(1), kPageSize, PROT_READ), 0);
  EXPECT_EQ(Move(source.range(), pages.at(0)).error, EINVAL);
  EXPECT_TRUE(source.IsPresent(0));
}

TEST_F(MoveOutcomesTest, TargetHasToBeRegisteredWithThisUserfaultfd) {
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  MappedPages not_registered(PageCount(1));
  EXPECT_EQ(Move(source.range(), not_registered.at(0)).error, EINVAL);
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  MappedPages of_another(other, PageCount(1));
  EXPECT_EQ(Move(source.range(), of_another.at(0)).error, EINVAL);
  EXPECT_TRUE(source.IsPresent(0));
}

TEST_F(MoveOutcomesTest, NothingMappedAtEitherEnd) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  EXPECT_EQ(Move(source.range(), PageId(16)).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Move({PageId(16), PageCount(1)}, pages.at(0)).outcome,
            Outcome::kRangeGone);
}

TEST_F(MoveOutcomesTest, NothingIsNotAllowed) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  EXPECT_EQ(Move(source.range(0, 0), pages.at(0)).error, EINVAL);
}

TEST_F(MoveOutcomesTest, HugePageIsTakenWhole) {
  MappedPages source(kHugePage + kHugePage);
  MappedPages pages(kHugePage + kHugePage);
  const PageRange from = {source.at(source.FirstHugePage()), kHugePage};
  const uint64_t to = pages.FirstHugePage();
  std::byte* huge = source.data(source.FirstHugePage());
  ASSERT_EQ(madvise(huge, kHugePage.bytes(), MADV_HUGEPAGE), 0);
  ASSERT_EQ(madvise(pages.data(to), kHugePage.bytes(), MADV_HUGEPAGE), 0);
  *huge = std::byte{6};
  ASSERT_TRUE(source.IsPresent(source.FirstHugePage() + 511))
      << "the kernel made no huge page";
  const PageRange whole = {pages.at(to), kHugePage};
  ASSERT_OK(uffd().Register(whole, FaultKind::kMissing));
  EXPECT_EQ(Move(from, pages.at(to)).installed, kHugePage);
  EXPECT_FALSE(source.IsPresent(source.FirstHugePage()));
  EXPECT_TRUE(pages.IsPresent(to + 511));
  EXPECT_EQ(ReadByte(pages.data(to)), 6);
  ASSERT_OK(uffd().Unregister(whole));
}

class MoveWithEventsTest : public UffdTest {
 protected:
  MoveWithEventsTest() : UffdTest(kLayoutEvents | kOperations) {}
};

TEST_F(MoveWithEventsTest, OnlyWithinOnesOwnAddressSpace) {
  MappedPages pages(uffd(), PageCount(2));
  Copy(pages.at(0), 1);
  ForkedChild process;
  const UserfaultFd child = uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  process.pid();
  EXPECT_EQ(child.Move(pages.range(0, 1), pages.at(1), WakeMode::kWake).error,
            EINVAL);
  process.Run();
  EXPECT_EQ(process.ExitCode(), 0);
}

}  // namespace
}  // namespace pagelift
