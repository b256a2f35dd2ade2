#include "daemon/pager/session/sweeper.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/pager/session/address_space.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

constexpr absl::Duration kAWhile = absl::Milliseconds(50);

class SweeperTest : public ::testing::Test {
 protected:
  void StartWith(std::vector<PageCount> sizes) {
    uint64_t image = 0;
    for (PageCount size : sizes) {
      ASSERT_OK_AND_ASSIGN(UserfaultFd uffd, UserfaultFd::Open(kLayoutEvents));
      pages_.push_back(std::make_unique<MappedPages>(size));
      ASSERT_OK(uffd.Register(pages_.back()->range(), FaultKind::kMissing));
      PageMap map;
      ASSERT_OK(map.Add(pages_.back()->range(), ImagePage(image)));
      image += size.raw();
      spaces_.push_back(std::make_shared<AddressSpace>(
          MemoryBehind(std::move(uffd)), std::move(map), RangeSet(),
          std::nullopt, stats_));
      lineage_.Add(spaces_.back());
    }
    sweeper_.emplace(
        std::vector<Lineage*>{&lineage_},
        [this](ImageRange range) {
          absl::MutexLock lock(&mu_);
          asked_.push_back(range);
          pages_asked_ = pages_asked_ + range.count;
        },
        [this] {
          absl::MutexLock lock(&mu_);
          ++nothing_left_;
        });
  }

  bool WaitForAsked(PageCount pages, absl::Duration timeout = kSoon) {
    absl::MutexLock lock(&mu_);
    auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return !(pages_asked_ < pages);
    };
    return mu_.AwaitWithTimeout(absl::Condition(&enough), timeout);
  }
  bool WaitForNothingLeft(int times) {
    absl::MutexLock lock(&mu_);
    auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return nothing_left_ >= times;
    };
    return mu_.AwaitWithTimeout(absl::Condition(&enough), kSoon);
  }
  PageCount asked() {
    absl::MutexLock lock(&mu_);
    return pages_asked_;
  }
  size_t requests() {
    absl::MutexLock lock(&mu_);
    return asked_.size();
  }

  SessionStats stats_;
  std::vector<std::unique_ptr<MappedPages>> pages_;
  std::vector<std::shared_ptr<AddressSpace>> spaces_;
  Lineage lineage_;

  absl::Mutex mu_;
  std::vector<ImageRange> asked_ ABSL_GUARDED_BY(mu_);
  PageCount pages_asked_ ABSL_GUARDED_BY(mu_);
  int nothing_left_ ABSL_GUARDED_BY(mu_) = 0;

  std::optional<Sweeper> sweeper_;  // Last: its thread uses the rest.
};

TEST_F(SweeperTest, AsksForNothingBeforeItIsStarted) {
  StartWith({PageCount(64)});
  EXPECT_FALSE(WaitForAsked(PageCount(1), kAWhile));
}

TEST_F(SweeperTest, AsksForEveryMissingPageOnceAndThenSaysSo) {
  StartWith({PageCount(200), PageCount(30)});
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(230)));
  ASSERT_TRUE(WaitForNothingLeft(1));
  EXPECT_EQ(asked(), PageCount(230));
  EXPECT_FALSE(sweeper_->NoteAnswered(PageCount(229)));
  EXPECT_TRUE(sweeper_->NoteAnswered(PageCount(1)));
}

TEST_F(SweeperTest, KeepsABoundedNumberOfPagesInFlight) {
  StartWith({PageCount(4000)});
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(1024)));
  EXPECT_FALSE(WaitForAsked(PageCount(1025), kAWhile));
  sweeper_->NoteAnswered(PageCount(64));
  EXPECT_TRUE(WaitForAsked(PageCount(1088)));
}

TEST_F(SweeperTest, TheBoundHoldsForManyAddressSpacesTogether) {
  StartWith(std::vector<PageCount>(40, PageCount(64)));
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(1024)));
  EXPECT_FALSE(WaitForAsked(PageCount(1025), kAWhile));
  // Those that there was no room for have their turn.
  sweeper_->NoteAnswered(PageCount(1024));
  ASSERT_TRUE(WaitForAsked(PageCount(2048)));
  sweeper_->NoteAnswered(PageCount(1024));
  EXPECT_TRUE(WaitForAsked(PageCount(40 * 64)));
}

TEST_F(SweeperTest, WhatOthersAskForCountsAsInFlight) {
  StartWith({PageCount(2000)});
  sweeper_->NoteRequested(PageCount(1000));
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(64)));
  EXPECT_FALSE(WaitForAsked(PageCount(65), kAWhile));
}

TEST_F(SweeperTest, AnswersThatComeTwiceDoNotStopIt) {
  StartWith({PageCount(3000)});
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(1024)));
  sweeper_->NoteAnswered(PageCount(1024));
  sweeper_->NoteAnswered(PageCount(1024));
  sweeper_->NoteAnswered(PageCount(1024));
  ASSERT_TRUE(WaitForAsked(PageCount(2048)));
  sweeper_->NoteAnswered(PageCount(1024));
  EXPECT_TRUE(WaitForAsked(PageCount(3000)));
}

TEST_F(SweeperTest, GoesOnFromTheLatestFault) {
  StartWith({PageCount(2048)});
  ImagePage image;
  spaces_[0]->Resolve(pages_[0]->at(1500), &image);
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(64)));
  absl::MutexLock lock(&mu_);
  EXPECT_EQ(asked_.front().first, ImagePage(1501));
}

TEST_F(SweeperTest, AfterAPauseItAsksOnlyWhenNudged) {
  StartWith({PageCount(100)});
  sweeper_->Pause();
  sweeper_->Start();
  EXPECT_FALSE(WaitForAsked(PageCount(1), kAWhile));
  sweeper_->Nudge();
  EXPECT_TRUE(WaitForAsked(PageCount(100)));
}

TEST_F(SweeperTest, ANudgeMakesItLookAgain) {
  StartWith({PageCount(10)});
  sweeper_->Start();
  ASSERT_TRUE(WaitForNothingLeft(1));
  spaces_[0]->GiveBack({ImagePage(3), PageCount(2)});
  sweeper_->Nudge();
  EXPECT_TRUE(WaitForAsked(PageCount(12)));
}

TEST_F(SweeperTest, PassesOverWhatIsGone) {
  StartWith({PageCount(64), PageCount(64)});
  spaces_[0]->MarkGone();
  sweeper_->Start();
  ASSERT_TRUE(WaitForNothingLeft(1));
  EXPECT_EQ(asked(), PageCount(64));
}

TEST_F(SweeperTest, CanBeStoppedWhileItWaitsForRoom) {
  StartWith({PageCount(4000)});
  sweeper_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(1024)));
  sweeper_->Stop();
  sweeper_->Stop();
  EXPECT_EQ(requests(), 16u);
}

}  // namespace
}  // namespace pagelift
