#include "daemon/pager/journal/space_journal.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "daemon/pager/journal/session_journal.h"
#include "daemon/pager/layout/space_layout.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/range_set.h"

namespace pagelift {
namespace {

using Set = LayoutOp::Set;

constexpr PageCount kImage{1000};

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

SpaceLayout OneExtent() {
  PageMap map;
  EXPECT_OK(map.Add(Pages(100, kImage.raw()), ImagePage(0)));
  RangeSet regions;
  regions.Insert(Pages(100, kImage.raw()));
  return SpaceLayout(std::move(map), std::move(regions));
}

class SpaceJournalTest : public ::testing::Test {
 protected:
  SpaceJournalTest() { layout_.LogTo(journal_.get()); }
  ~SpaceJournalTest() override { layout_.LogTo(nullptr); }

  static std::unique_ptr<SessionJournal> NewSession() {
    absl::StatusOr<std::unique_ptr<SessionJournal>> session =
        SessionJournal::Create(kImage);
    EXPECT_OK(session.status());
    return *std::move(session);
  }
  // The process dies, and another goes on.
  void Crash() {
    layout_ = SpaceLayout();
    UniqueFd memory(dup(session_->fd()));
    journal_.reset();
    session_.reset();
    ASSERT_OK_AND_ASSIGN(session_, SessionJournal::Adopt(std::move(memory)));
    ASSERT_OK_AND_ASSIGN(auto spaces, session_->Spaces());
    ASSERT_EQ(spaces.size(), 1u);
    journal_ = std::move(spaces.front());
    ASSERT_OK_AND_ASSIGN(layout_, journal_->Rebuild());
    layout_.LogTo(journal_.get());
  }
  void PutMessage(size_t index, unsigned char event) {
    std::memset(&journal_->raw()[index * SpaceJournal::kMessageSize], event, 1);
  }

  std::unique_ptr<SessionJournal> session_ = NewSession();
  SpaceLayout layout_ = OneExtent();
  std::unique_ptr<SpaceJournal> journal_ = session_->Add({}, layout_);
};

TEST_F(SpaceJournalTest, WhatIsCommittedIsThereAfterACrash) {
  layout_.Erase(Pages(150, 10));
  layout_.Insert(Set::kVacated, Pages(7, 1));
  journal_->Commit();
  layout_.Erase(Pages(200, 10));
  layout_.Move(Pages(300, 50), PageId(5000));
  const size_t committed = journal_->length();
  Crash();
  EXPECT_EQ(journal_->length(), committed);
  EXPECT_FALSE(layout_.map().Find(PageId(155)).has_value());
  EXPECT_TRUE(layout_.map().Find(PageId(205)).has_value());
  EXPECT_FALSE(layout_.map().Find(PageId(5000)).has_value());
  EXPECT_TRUE(layout_.set(Set::kVacated).Contains(PageId(7)));
  // What was not committed is written over.
  layout_.Erase(Pages(400, 1));
  journal_->Commit();
  Crash();
  EXPECT_TRUE(layout_.map().Find(PageId(205)).has_value());
  EXPECT_FALSE(layout_.map().Find(PageId(400)).has_value());
}

TEST_F(SpaceJournalTest, AnEventIsAppliedOnceWhereverTheReaderDies) {
  PutMessage(0, 0x15);
  PutMessage(1, 0x15);
  EXPECT_EQ(journal_->messages(), 2u);
  layout_.Erase(Pages(150, 10));
  journal_->CommitEvents(1);
  layout_.Erase(Pages(160, 10));
  Crash();
  EXPECT_EQ(journal_->messages(), 2u);
  EXPECT_EQ(journal_->applied(), 1u);
  EXPECT_FALSE(layout_.map().Find(PageId(150)).has_value());
  EXPECT_TRUE(layout_.map().Find(PageId(160)).has_value());
  journal_->CommitEvents(2);
  journal_->EndBatch();
  Crash();
  EXPECT_EQ(journal_->messages(), 0u);
  EXPECT_EQ(journal_->applied(), 0u);
}

TEST_F(SpaceJournalTest, InstalledPagesArePresentWhereverTheyHaveBeenMovedTo) {
  // Across words, whole words, and the last page.
  for (ImageRange pages : {ImageRange{ImagePage(60), PageCount(10)},
                           ImageRange{ImagePage(128), PageCount(64)},
                           ImageRange{ImagePage(999), PageCount(1)}}) {
    journal_->MarkInstalled(pages);
  }
  layout_.Move(Pages(160, 20), PageId(5000));
  journal_->Commit();
  Crash();
  EXPECT_EQ(layout_.map().counts().present, PageCount(75));
  EXPECT_EQ(layout_.map().Find(PageId(5009))->state, PageState::kPresent);
  EXPECT_EQ(layout_.map().Find(PageId(5010))->state, PageState::kMissing);
  EXPECT_EQ(layout_.map().Find(PageId(100 + 191))->state, PageState::kPresent);
  EXPECT_EQ(layout_.map().Find(PageId(100 + 192))->state, PageState::kMissing);
  EXPECT_EQ(layout_.map().Find(PageId(1099))->state, PageState::kPresent);
}

TEST_F(SpaceJournalTest, WhatIsLostStaysLostUnlessItWasInstalled) {
  journal_->MarkInstalled({ImagePage(4), PageCount(1)});
  EXPECT_EQ(layout_.Lose({ImagePage(3), PageCount(3)}), PageCount(3));
  journal_->Commit();
  Crash();
  EXPECT_EQ(layout_.map().Find(PageId(103))->state, PageState::kLost);
  EXPECT_EQ(layout_.map().Find(PageId(104))->state, PageState::kPresent);
  EXPECT_EQ(layout_.map().Find(PageId(105))->state, PageState::kLost);
}

TEST_F(SpaceJournalTest, ItIsFoldedBeforeItGetsLong) {
  std::mt19937 random(1);
  size_t longest = 0;
  for (int i = 0; i < 100'000; ++i) {
    layout_.Move(Pages(100 + random() % 900, 1 + random() % 9),
                 PageId(100 + random() % 900));
    journal_->Commit();
    journal_->Fold(layout_);
    longest = std::max(longest, journal_->length());
    if (i % 10'000 != 0) continue;
    const std::vector<LayoutOp> before = OpsOf(layout_);
    Crash();
    ASSERT_TRUE(OpsOf(layout_) == before) << i;
  }
  EXPECT_LT(longest, 1u << 20);
}

TEST_F(SpaceJournalTest, AFoldInTheMiddleOfABatchForgetsNoMessage) {
  PutMessage(0, 0x15);
  PutMessage(1, 0x15);
  for (int i = 0; i < 5000; ++i) layout_.Insert(Set::kVacated, Pages(9, 1));
  journal_->CommitEvents(1);
  const size_t before = journal_->length();
  journal_->Fold(layout_);
  EXPECT_LT(journal_->length(), before);
  Crash();
  EXPECT_EQ(journal_->applied(), 1u);
  EXPECT_EQ(journal_->messages(), 2u);
}

TEST_F(SpaceJournalTest, AChangeThatNobodyKnowsIsRefused) {
  journal_->Append({static_cast<LayoutOp::Kind>(77), Set::kRegions, 1, 1, 1});
  journal_->Commit();
  EXPECT_FALSE(journal_->Rebuild().ok());
}

}  // namespace
}  // namespace pagelift
