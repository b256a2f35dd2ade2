#include "daemon/pager/session/prefetcher.h"

#include <ctime>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/pager/session/address_space.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"
#include "lib/prefetch/bulk_window.h"
#include "lib/prefetch/mix.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/prefetch/replay.h"
#include "lib/source/page_source.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kAWhile = absl::Milliseconds(50);
constexpr PageCount kWindow = BulkWindow::kFirst;
constexpr PageCount kRequest{64};  // At most.

class PrefetcherTest : public ::testing::Test {
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
          MemoryBehind(std::move(uffd)),
          SpaceLayout(std::move(map), RangeSet()), std::nullopt, stats_));
      lineage_.Add(spaces_.back());
    }
    Prefetcher::Options options;
    options.lineages = {&lineage_};
    options.policy = [this](
                         size_t /*lineage*/,
                         size_t /*place*/) -> std::unique_ptr<PrefetchPolicy> {
      if (!recorded_.empty()) return std::make_unique<Replay>(recorded_);
      return std::make_unique<Mix>(std::vector<ImagePage>());
    };
    options.fetch = [this](absl::Span<const ImageRange> ranges) {
      absl::MutexLock lock(&mu_);
      ++times_asked_;
      for (ImageRange range : ranges) {
        asked_.push_back(range);
        pages_asked_ = pages_asked_ + range.count;
      }
    };
    options.on_nothing_left = [this] {
      absl::MutexLock lock(&mu_);
      ++nothing_left_;
    };
    options.mode = mode_;
    prefetcher_.emplace(std::move(options));
  }

  // Nobody measures, so the window stays as it begins.
  bool Answer(PageCount pages, bool may_ask = true) {
    PageBatch batch;
    batch.range = {ImagePage(0), pages};
    batch.urgency = Urgency::kPrefetch;
    return prefetcher_->OnAnswer(batch, may_ask);
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

  PrefetchMode mode_;
  std::vector<ImagePage> recorded_;  // Replayed, if there are any.
  SessionStats stats_;
  std::vector<std::unique_ptr<MappedPages>> pages_;
  std::vector<std::shared_ptr<AddressSpace>> spaces_;
  Lineage lineage_;

  absl::Mutex mu_;
  std::vector<ImageRange> asked_ ABSL_GUARDED_BY(mu_);
  PageCount pages_asked_ ABSL_GUARDED_BY(mu_);
  int times_asked_ ABSL_GUARDED_BY(mu_) = 0;
  int nothing_left_ ABSL_GUARDED_BY(mu_) = 0;

  std::optional<Prefetcher> prefetcher_;  // Last: its thread uses the rest.
};

TEST_F(PrefetcherTest, AsksForNothingBeforeItIsStarted) {
  StartWith({PageCount(64)});
  EXPECT_FALSE(WaitForAsked(PageCount(1), kAWhile));
}

TEST_F(PrefetcherTest, AsksForEveryMissingPageOnceAndThenSaysSo) {
  StartWith({PageCount(50), PageCount(14)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(64)));
  ASSERT_TRUE(WaitForNothingLeft(1));
  EXPECT_EQ(asked(), PageCount(64));
  EXPECT_FALSE(Answer(PageCount(63)));
  EXPECT_TRUE(Answer(PageCount(1)));
}

TEST_F(PrefetcherTest, KeepsNoMoreOnItsWayThanTheWindow) {
  StartWith({PageCount(4000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  EXPECT_FALSE(WaitForAsked(kWindow + kRequest, kAWhile));
  const PageCount before = asked();
  Answer(kRequest);
  EXPECT_TRUE(WaitForAsked(before + PageCount(1)));
}

TEST_F(PrefetcherTest, WhoeverDeliversAsksForMoreHimself) {
  StartWith({PageCount(4000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  ASSERT_FALSE(WaitForAsked(kWindow + kRequest, kAWhile));
  const PageCount before = asked();
  Answer(kRequest);
  EXPECT_LT(before, asked());  // By now.
}

TEST_F(PrefetcherTest, OrLeavesItToTheThreadIfHeMayNot) {
  StartWith({PageCount(4000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  ASSERT_FALSE(WaitForAsked(kWindow + kRequest, kAWhile));
  const PageCount before = asked();
  Answer(kRequest, /*may_ask=*/false);
  EXPECT_TRUE(WaitForAsked(before + PageCount(1)));
}

TEST_F(PrefetcherTest, TheBoundHoldsForManyAddressSpacesTogether) {
  StartWith(std::vector<PageCount>(40, PageCount(64)));
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  EXPECT_FALSE(WaitForAsked(kWindow + kRequest, kAWhile));
  // Those that there was no room for have their turn.
  for (int i = 0; i < 100 && asked() < PageCount(40 * 64); ++i) {
    Answer(PageCount(64));
  }
  EXPECT_TRUE(WaitForAsked(PageCount(40 * 64)));
}

TEST_F(PrefetcherTest, WhatOthersAskForCountsAsOnItsWay) {
  StartWith({PageCount(2000)});
  prefetcher_->NoteRequested(kWindow - kRequest);
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(1)));
  const PageCount before = asked();
  EXPECT_FALSE(WaitForAsked(before + PageCount(1), kAWhile));
}

TEST_F(PrefetcherTest, ScatteredPagesAreAskedForTogether) {
  for (uint64_t page = 0; page < 1000; page += 2) {
    recorded_.push_back(ImagePage(page));
  }
  StartWith({PageCount(1000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kRequest));
  absl::MutexLock lock(&mu_);
  EXPECT_LE(times_asked_ * kRequest.raw(), kWindow.raw());
  EXPECT_THAT(absl::MakeConstSpan(asked_).first(3),
              ElementsAre(ImageRange{ImagePage(0), PageCount(1)},
                          ImageRange{ImagePage(2), PageCount(1)},
                          ImageRange{ImagePage(4), PageCount(1)}));
}

TEST_F(PrefetcherTest, WhatArrivesInPiecesIsNotAskedForInPieces) {
  StartWith({PageCount(4000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  ASSERT_FALSE(WaitForAsked(kWindow + kRequest, kAWhile));
  const PageCount before = asked();
  for (uint64_t i = 1; i < kRequest.raw(); ++i) Answer(PageCount(1));
  EXPECT_EQ(asked(), before);
  Answer(PageCount(1));
  EXPECT_EQ(asked(), before + kRequest);
}

TEST_F(PrefetcherTest, AnswersThatComeTwiceDoNotStopIt) {
  StartWith({PageCount(3000)});
  prefetcher_->Start();
  for (int i = 0; i < 100 && asked() < PageCount(3000); ++i) {
    Answer(kWindow);
    Answer(kWindow);
  }
  EXPECT_TRUE(WaitForAsked(PageCount(3000)));
  EXPECT_EQ(asked(), PageCount(3000));
}

TEST_F(PrefetcherTest, GoesOnFromTheLatestFault) {
  StartWith({PageCount(2048)});
  ImagePage image;
  spaces_[0]->Resolve(pages_[0]->at(1500), &image);
  prefetcher_->OnFault(*spaces_[0], {pages_[0]->at(1500), image}, PageCount(1));
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(PageCount(8)));
  absl::MutexLock lock(&mu_);
  EXPECT_EQ(asked_.front().first, ImagePage(1501));
}

TEST_F(PrefetcherTest, AfterAPauseItAsksOnlyWhenNudged) {
  StartWith({PageCount(100)});
  prefetcher_->Pause();
  prefetcher_->Start();
  EXPECT_FALSE(WaitForAsked(PageCount(1), kAWhile));
  prefetcher_->Nudge();
  EXPECT_TRUE(WaitForAsked(PageCount(100)));
}

TEST_F(PrefetcherTest, ANudgeMakesItLookAgain) {
  StartWith({PageCount(10)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForNothingLeft(1));
  spaces_[0]->GiveBack({ImagePage(3), PageCount(2)});
  prefetcher_->Nudge();
  EXPECT_TRUE(WaitForAsked(PageCount(12)));
}

TEST_F(PrefetcherTest, PassesOverWhatIsGone) {
  StartWith({PageCount(64), PageCount(64)});
  spaces_[0]->MarkGone();
  prefetcher_->Start();
  ASSERT_TRUE(WaitForNothingLeft(1));
  EXPECT_EQ(asked(), PageCount(64));
}

TEST_F(PrefetcherTest, CanBeStoppedWhileItWaitsForRoom) {
  StartWith({PageCount(4000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kWindow));
  prefetcher_->Stop();
  prefetcher_->Stop();
  const PageCount before = asked();
  Answer(kWindow);
  EXPECT_EQ(asked(), before);
}

TEST_F(PrefetcherTest, OffBringsNothingUntilItIsTuned) {
  mode_ = {PrefetchMode::Kind::kOff, 0};
  StartWith({PageCount(100)});
  prefetcher_->Start();
  EXPECT_FALSE(WaitForAsked(PageCount(1), kAWhile));
  // Faults alone may have brought everything.
  prefetcher_->NoteRequested(PageCount(2));
  EXPECT_FALSE(Answer(PageCount(1)));
  EXPECT_TRUE(Answer(PageCount(1)));
  prefetcher_->SetMode({PrefetchMode::Kind::kFull, 0});
  EXPECT_TRUE(WaitForAsked(PageCount(100)));
}

TEST_F(PrefetcherTest, IdleGoesOnWhenNobodyWaitsAnyMore) {
  mode_ = {PrefetchMode::Kind::kIdle, 0};
  StartWith({PageCount(61)});
  ImagePage image;
  spaces_[0]->Resolve(pages_[0]->at(50), &image);
  prefetcher_->OnFault(*spaces_[0], {pages_[0]->at(50), image}, PageCount(1));
  prefetcher_->Start();
  EXPECT_TRUE(WaitForAsked(PageCount(60)));
}

TEST_F(PrefetcherTest, PausesTakeNoTime) {
  mode_ = {PrefetchMode::Kind::kRate, 1};  // 250 ms for each request.
  StartWith({PageCount(1000)});
  prefetcher_->Start();
  ASSERT_TRUE(WaitForAsked(kRequest));
  // All threads', not that of a clock on the wall.
  const clock_t before = clock();
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 100);
}

TEST_F(PrefetcherTest, RateGoesOnByItselfAfterEachPause) {
  // More than it may ask for at once.
  mode_ = {PrefetchMode::Kind::kRate, 4};
  StartWith({PageCount(100)});
  prefetcher_->Start();
  EXPECT_TRUE(WaitForAsked(PageCount(100)));
  EXPECT_EQ(prefetcher_->mode(), mode_);
}

}  // namespace
}  // namespace pagelift
