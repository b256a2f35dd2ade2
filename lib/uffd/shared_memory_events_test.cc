// What the running kernel reports of changes to shared memory, and what it does
// not: a page that was filled once may be missing again without a word.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/mapping.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

// Two pages, the first of which is filled.
class SharedMemoryEventsTest : public UffdTest {
 protected:
  SharedMemoryEventsTest() : UffdTest(kLayoutEvents | kOperations) {}

  void SetUp() override {
    UffdTest::SetUp();
    if (HasFatalFailure()) return;
    pages_.emplace(uffd(), PageCount(2), FaultKind::kMissing,
                   MappedPages::Backing::kSharedFile);
    ASSERT_EQ(Copy(pages().at(0), 1).outcome, Outcome::kInstalled);
  }
  void TearDown() override { pages_.reset(); }

  const MappedPages& pages() const { return *pages_; }
  bool NothingIsQueued() const {
    EventBuffer buffer;
    auto events = uffd().ReadEvents(buffer);
    return events.ok() && events->empty();
  }
  // A read of the first page that is reported, and served with `value`.
  void ExpectMissing(int value) const {
    FaultingThread thread = FaultingThread::StartRead(pages().data(0));
    EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMissing);
    Copy(pages().at(0), 1, value);
    EXPECT_EQ(thread.Result(), value);
  }
  // An madvise(2) of the first page that is reported as a removal.
  void ExpectRemoved(int advice) const {
    FaultingThread thread =
        FaultingThread::Start([at = pages().data(0), advice] {
          return madvise(at, kPageSize, advice);
        });
    EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages().range(0, 1));
    EXPECT_EQ(thread.Result(), 0);
  }

 private:
  std::optional<MappedPages> pages_;
};

TEST_F(SharedMemoryEventsTest, DroppingTheMappingIsReportedButKeepsThePage) {
  ExpectRemoved(MADV_DONTNEED);
  EXPECT_FALSE(pages().IsPresent(0));
  EXPECT_EQ(ReadByte(pages().data(0)), 7);
}

TEST_F(SharedMemoryEventsTest, RemovingThePageIsReportedTheSameWay) {
  ExpectRemoved(MADV_REMOVE);
  ExpectMissing(8);
}

TEST_F(SharedMemoryEventsTest, HoleMadeThroughTheFileIsNotReported) {
  ASSERT_EQ(fallocate(pages().file(),
                      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPageSize),
            0);
  EXPECT_TRUE(NothingIsQueued());
  ExpectMissing(8);
}

TEST_F(SharedMemoryEventsTest, TruncationIsNotReported) {
  ASSERT_EQ(ftruncate(pages().file(), 0), 0);
  EXPECT_TRUE(NothingIsQueued());
  EXPECT_EQ(ReadByte(pages().data(0)), std::nullopt);
  ASSERT_EQ(ftruncate(pages().file(), kPageSize), 0);
  ExpectMissing(8);
}

TEST_F(SharedMemoryEventsTest, WhoeverWaitsBeyondTheNewEndIsNotWoken) {
  FaultingThread thread = FaultingThread::StartRead(pages().data(1));
  WaitFor<PageFault>(uffd());
  ASSERT_EQ(ftruncate(pages().file(), kPageSize), 0);
  EXPECT_EQ(Copy(pages().at(1), 1).outcome, Outcome::kSourceFault);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages().range(1, 1)));
  EXPECT_EQ(thread.Result(), std::nullopt);
}

TEST_F(SharedMemoryEventsTest, MappingThatIsNotRegisteredFillsAHoleUnseen) {
  Mapping other(PageCount(2), PROT_READ | PROT_WRITE, MAP_SHARED,
                pages().file());
  EXPECT_EQ(*other.data(1), std::byte{0});
  EXPECT_TRUE(NothingIsQueued());
  EXPECT_EQ(ReadByte(pages().data(1)), 0);
}

TEST_F(SharedMemoryEventsTest, ReadingTheFileFillsNoHole) {
  char byte = 1;
  ASSERT_EQ(pread(pages().file(), &byte, 1, kPageSize), 1);
  EXPECT_EQ(byte, 0);
  EXPECT_EQ(Copy(pages().at(1), 1).outcome, Outcome::kInstalled);
}

}  // namespace
}  // namespace pagelift
