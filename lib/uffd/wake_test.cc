// UserfaultFd::Wake() against the running kernel: whom it reaches. A daemon
// that takes a target over relies on it, and so does whoever lost a race.

#include <sys/mman.h>

#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
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

// All that a process may map with four levels of page tables.
constexpr PageRange kWholeSpace = {PageId(0),
                                   PageCount((uint64_t{1} << 35) - 1)};

class WakeTest : public UffdTest {};

TEST_F(WakeTest, WholeAddressSpaceIsReportedAgain) {
  MappedPages first(uffd(), PageCount(1));
  MappedPages second(uffd(), PageCount(1));
  FaultingThread a = FaultingThread::StartRead(first.data());
  FaultingThread b = FaultingThread::StartRead(second.data());
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  ASSERT_OK(uffd().Wake(kWholeSpace));
  EXPECT_EQ(Sleepers(), 0u);
  const std::vector<Event> again = WaitForEvents(uffd(), 2);
  ASSERT_EQ(again.size(), 2u);
  for (const Event& event : again) {
    Copy(std::get<PageFault>(event).page, 1);
  }
  EXPECT_EQ(a.Result(), 7);
  EXPECT_EQ(b.Result(), 7);
}

TEST_F(WakeTest, OnlyThoseWhoWaitInTheRange) {
  MappedPages pages(uffd(), PageCount(3));
  FaultingThread a = FaultingThread::StartRead(pages.data(0));
  FaultingThread b = FaultingThread::StartRead(pages.data(1));
  FaultingThread c = FaultingThread::StartRead(pages.data(2));
  ASSERT_EQ(WaitForEvents(uffd(), 3).size(), 3u);
  ASSERT_OK(uffd().Wake(pages.range(1, 1)));
  EXPECT_EQ(Sleepers(), 2u);
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(1));
  Copy(pages.at(0), 3);
  EXPECT_EQ(a.Result(), 7);
  EXPECT_EQ(b.Result(), 7);
  EXPECT_EQ(c.Result(), 7);
}

TEST_F(WakeTest, BeyondTheAddressSpace) {
  EXPECT_THAT(uffd().Wake({PageId(uint64_t{1} << 51), PageCount(1)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(WakeTest, InstallingForgetsAFaultThatNobodyHasRead) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), 7);
  EventBuffer buffer;
  ASSERT_OK_AND_ASSIGN(absl::Span<Event> events, uffd().ReadEvents(buffer));
  EXPECT_TRUE(events.empty());
}

class WakeAcrossForkTest : public UffdTest {
 protected:
  WakeAcrossForkTest() : UffdTest(kLayoutEvents | kOperations) {}
};

TEST_F(WakeAcrossForkTest, SharedPageIsFilledForAllButWakesOnlyItsOwnThreads) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ForkedChild process([at = pages.data()] { return static_cast<int>(*at); });
  const UserfaultFd child = uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  process.pid();
  process.Run();
  EXPECT_EQ(WaitFor<PageFault>(child).page, pages.at(0));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  ASSERT_OK_AND_ASSIGN(UserfaultFdInfo info, child.Info());
  EXPECT_EQ(info.waiting_faults, 1u);
  EXPECT_EQ(child.Copy(pages.at(0), Pattern(1, 8), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  ASSERT_OK(child.Wake(pages.range()));
  EXPECT_EQ(process.ExitCode(), 7);
}

}  // namespace
}  // namespace pagelift
