// UserfaultFd::Probe() against the running kernel, in every state a page may be
// in: it tells of the mapping, never of the page, and leaves the page as it
// was.

#include <sys/mman.h>

#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class ProbeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = UserfaultFd::Open(kLayoutEvents | Feature::kPagefaultFlagWp |
                                    Feature::kPoison | Feature::kWpUnpopulated);
    ASSERT_OK(opened);
    uffd_.emplace(*std::move(opened));
  }
  const UserfaultFd& uffd() const { return *uffd_; }

  std::optional<UserfaultFd> uffd_;
  const std::vector<std::byte> page_ =
      std::vector<std::byte>(kPageSize, std::byte{7});
};

TEST_F(ProbeTest, MissingPageStaysMissing) {
  MappedPages pages(uffd(), PageCount(1));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_FALSE(pages.IsPresent(0));
  EXPECT_EQ(uffd().Copy(pages.at(0), page_, WakeMode::kWake).outcome,
            Outcome::kInstalled);
}

TEST_F(ProbeTest, PresentPageKeepsItsContents) {
  MappedPages pages(uffd(), PageCount(1));
  uffd().Copy(pages.at(0), page_, WakeMode::kWake);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(*pages.data(), std::byte{7});
}

TEST_F(ProbeTest, ZeroPageStaysZero) {
  MappedPages pages(uffd(), PageCount(1));
  uffd().Zero(pages.range(), WakeMode::kWake);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(*pages.data(), std::byte{0});
}

TEST_F(ProbeTest, PoisonStays) {
  MappedPages pages(uffd(), PageCount(1));
  uffd().Poison(pages.range(), WakeMode::kWake);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(FaultingThread::StartRead(pages.data()).Result(), std::nullopt);
}

TEST_F(ProbeTest, WriteProtectionOfAMissingPageStays) {
  MappedPages pages(uffd(), PageCount(1),
                    FaultKind::kMissing | FaultKind::kWriteProtect);
  uffd().WriteProtect(pages.range());
  ASSERT_TRUE(pages.IsWriteProtected(0));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_TRUE(pages.IsWriteProtected(0));
  EXPECT_FALSE(pages.IsPresent(0));
}

TEST_F(ProbeTest, SharedMemory) {
  MappedPages pages(uffd(), PageCount(2), FaultKind::kMissing,
                    Backing::kSharedFile);
  uffd().Copy(pages.at(1), page_, WakeMode::kWake);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kRegistered);
  EXPECT_FALSE(pages.IsPresent(0));
  EXPECT_EQ(*pages.data(1), std::byte{7});
}

TEST_F(ProbeTest, InaccessibleMemory) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(mprotect(pages.data(), kPageSize, PROT_NONE), 0);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
}

TEST_F(ProbeTest, NobodyIsWoken) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  ASSERT_TRUE(thread.WaitUntilBlocked());
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_TRUE(thread.is_blocked());
  ASSERT_OK_AND_ASSIGN(UserfaultFdInfo info, uffd().Info());
  EXPECT_EQ(info.unread_faults, 0u);
  EXPECT_EQ(info.waiting_faults, 1u);
  uffd().Zero(pages.range(), WakeMode::kWake);
}

TEST_F(ProbeTest, MemoryThatIsNotRegistered) {
  MappedPages pages(PageCount(2));
  *pages.data(1) = std::byte{9};
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kNotRegistered);
  EXPECT_FALSE(pages.IsPresent(0));
}

TEST_F(ProbeTest, Hole) {
  EXPECT_EQ(uffd().Probe(PageId(16)), Registration::kNotRegistered);
}

TEST_F(ProbeTest, BeyondTheAddressSpace) {
  EXPECT_EQ(uffd().Probe(PageId(uint64_t{1} << 51)), Registration::kUnknown);
}

TEST_F(ProbeTest, HugePageOfTheKernelsOwnMaking) {
  MappedPages pages(kHugePage + kHugePage);
  const uint64_t first = pages.FirstHugePage();
  const PageRange huge = {pages.at(first), kHugePage};
  ASSERT_EQ(madvise(pages.data(first), kHugePage.bytes(), MADV_HUGEPAGE), 0);
  *pages.data(first) = std::byte{5};
  ASSERT_OK(uffd().Register(huge, FaultKind::kMissing));
  EXPECT_EQ(uffd().Probe(pages.at(first + 1)), Registration::kRegistered);
  EXPECT_EQ(*pages.data(first), std::byte{5});
  ASSERT_OK(uffd().Unregister(huge));
}

TEST_F(ProbeTest, WaitingEventComesFirst) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread thread = FaultingThread::Start(
      [at = pages.data(1)] { return madvise(at, kPageSize, MADV_DONTNEED); });
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kEventPending);
  WaitFor<Removed>(uffd());
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
}

TEST_F(ProbeTest, MovedMemoryIsRegisteredWhereItIsNow) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages to(PageCount(2));
  FaultingThread thread =
      FaultingThread::Start([from = pages.data(), at = to.data()] {
        return mremap(from, 2 * kPageSize, 2 * kPageSize,
                      MREMAP_MAYMOVE | MREMAP_FIXED, at) == at;
      });
  WaitForEvents(uffd(), 2);
  EXPECT_EQ(thread.Result(), 1);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(to.at(1)), Registration::kRegistered);
  ASSERT_OK(uffd().Unregister(to.range()));
}

TEST_F(ProbeTest, ExitedTarget) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process;
  Forked forked = WaitFor<Forked>(uffd());
  ASSERT_OK_AND_ASSIGN(UserfaultFd child,
                       UserfaultFd::Adopt(std::move(forked.child)));
  process.pid();
  EXPECT_EQ(child.Probe(pages.at(0)), Registration::kRegistered);
  process.Run();
  ASSERT_EQ(process.ExitCode(), 0);
  EXPECT_EQ(child.Probe(pages.at(0)), Registration::kTargetGone);
}

}  // namespace
}  // namespace pagelift
