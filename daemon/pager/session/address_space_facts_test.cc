// Whether what an address space says of itself shows a broken invariant. The
// test breaks them, by leaving out what a session does.

#include <sys/mman.h>

#include <string>
#include <vector>

#include "daemon/pager/session/address_space.h"
#include "daemon/pager/session/invariants.h"
#include "daemon/pager/session/testing/address_space_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/memory/page_state.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AddressSpaceFactsTest : public AddressSpaceTestBase {
 protected:
  // At the second of two looks, if nothing may take any time.
  std::vector<std::string> Broken() {
    InvariantChecker checker(absl::ZeroDuration());
    const absl::Time start = absl::Now();
    checker.Check(space_->Facts(), start);
    return checker.Check(space_->Facts(), start + absl::Milliseconds(1));
  }
  // If waiting takes as long as it likes.
  std::vector<std::string> BrokenNow() {
    InvariantChecker checker(absl::InfiniteDuration());
    return checker.Check(space_->Facts(), absl::Now());
  }
};

TEST_F(AddressSpaceFactsTest, AFaultWhosePageIsOnItsWayBreaksNothing) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetch);
  const AddressSpaceFacts facts = space_->Facts();
  ASSERT_THAT(facts.waiting, SizeIs(1));
  EXPECT_EQ(facts.waiting[0].fault.page, pages_.at(5));
  EXPECT_EQ(facts.waiting[0].state, PageState::kRequested);
  ASSERT_TRUE(facts.kernel.has_value());
  EXPECT_EQ(facts.kernel->waiting_faults, 1u);
  EXPECT_EQ(facts.kernel->unread_faults, 0u);
  EXPECT_EQ(facts.counted.requested, PageCount(1));
  EXPECT_EQ(facts.counted.missing, kInImage - PageCount(1));
  EXPECT_THAT(BrokenNow(), IsEmpty());
  Install(*space_, 5, 1);
  EXPECT_EQ(thread.Result(), FirstByteOf(5));
  EXPECT_THAT(Broken(), IsEmpty());
}

TEST_F(AddressSpaceFactsTest, AFaultThatNobodyReadsIsSeen) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  EXPECT_THAT(Broken(), ElementsAre(HasSubstr("unread")));
  ServeUntilEnded(*space_, thread);
  EXPECT_THAT(Broken(), IsEmpty());
}

TEST_F(AddressSpaceFactsTest, AFaultThatWasReadAndForgottenIsSeen) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  while (faults_.empty()) Drain();
  EXPECT_THAT(Broken(), ElementsAre(HasSubstr("of which we know nothing")));
  ServeUntilEnded(*space_, thread);
  EXPECT_THAT(Broken(), IsEmpty());
}

TEST_F(AddressSpaceFactsTest, AFaultThatWaitsForAPageThatIsThereIsSeen) {
  Install(*space_, 5, 1);
  space_->waiting().Demand(pages_.at(5), absl::Now());
  EXPECT_THAT(BrokenNow(), ElementsAre(HasSubstr("not on its way")));
}

TEST_F(AddressSpaceFactsTest, AFaultThatWaitsForLongIsSeen) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetch);
  EXPECT_THAT(Broken(), Contains(HasSubstr("has waited")));
  Install(*space_, 5, 1);
  EXPECT_EQ(thread.Result(), FirstByteOf(5));
}

TEST_F(AddressSpaceFactsTest, NothingIsLeftWhenItIsClosed) {
  for (uint64_t i = 0; i < kInImage.raw(); i += 8) Install(*space_, i, 8);
  // A zero page that cannot be had just now.
  FaultingThread thread = FaultingThread::StartRead(pages_.data(44));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  while (faults_.empty()) Drain();
  FaultingThread discard = StartAdvise(0, 1, MADV_DONTNEED);
  ASSERT_TRUE(discard.WaitUntilBlocked());
  EXPECT_EQ(AnswerToFault(44), Answer::kDeferred);
  EXPECT_TRUE(space_->Detach([](std::shared_ptr<AddressSpace>) {}));
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_TRUE(space_->Facts().closed);
  EXPECT_THAT(BrokenNow(), IsEmpty());
}

}  // namespace
}  // namespace pagelift
