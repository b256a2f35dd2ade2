#include "lib/memory/state_block.h"

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/page_state.h"

namespace pagelift {
namespace {

constexpr PageStates kAny = PageStates(PageState::kMissing) |
                            PageState::kRequested | PageState::kPresent |
                            PageState::kLost;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TEST(StateBlockTest, BeginsAllMissing) {
  StateBlock::Ref block = StateBlock::New(Pages(1000, 70));
  EXPECT_EQ(block->Get(ImagePage(1000)), PageState::kMissing);
  EXPECT_EQ(block->Get(ImagePage(1069)), PageState::kMissing);
  EXPECT_EQ(block->Count(Pages(1000, 70)).missing, PageCount(70));
}

TEST(StateBlockTest, NeighboursInAWordDoNotDisturbEachOther) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 40));
  block->Transition(ImagePage(30), kAny, PageState::kRequested);
  block->Transition(ImagePage(31), kAny, PageState::kPresent);
  block->Transition(ImagePage(32), kAny, PageState::kLost);
  EXPECT_EQ(block->Get(ImagePage(29)), PageState::kMissing);
  EXPECT_EQ(block->Get(ImagePage(30)), PageState::kRequested);
  EXPECT_EQ(block->Get(ImagePage(31)), PageState::kPresent);
  EXPECT_EQ(block->Get(ImagePage(32)), PageState::kLost);
  EXPECT_EQ(block->Get(ImagePage(33)), PageState::kMissing);
}

TEST(StateBlockTest, TransitionFromAnotherStateIsRefused) {
  StateBlock::Ref block = StateBlock::New(Pages(5, 1));
  EXPECT_EQ(block->Transition(ImagePage(5), PageState::kRequested,
                              PageState::kPresent),
            std::nullopt);
  EXPECT_EQ(block->Transition(ImagePage(5),
                              PageState::kRequested | PageState::kMissing,
                              PageState::kPresent),
            PageState::kMissing);
  EXPECT_EQ(block->Get(ImagePage(5)), PageState::kPresent);
}

TEST(StateBlockTest, RangeTransitionStopsAtItsBordersInsideWords) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 200));
  PageStateCounts were = block->TransitionRange(
      Pages(31, 66), PageState::kMissing, PageState::kLost);
  EXPECT_EQ(were.missing, PageCount(66));
  EXPECT_EQ(were.total(), PageCount(66));
  EXPECT_EQ(block->FindRun(Pages(0, 200), PageState::kLost), Pages(31, 66));
  EXPECT_EQ(block->Count(Pages(30, 2)).lost, PageCount(1));
}

TEST(StateBlockTest, RangeTransitionTellsWhatThePagesWere) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 64));
  block->TransitionRange(Pages(0, 10), kAny, PageState::kRequested);
  block->TransitionRange(Pages(40, 5), kAny, PageState::kPresent);
  PageStateCounts were = block->TransitionRange(
      Pages(0, 64), PageState::kRequested | PageState::kPresent,
      PageState::kMissing);
  EXPECT_EQ(were.requested, PageCount(10));
  EXPECT_EQ(were.present, PageCount(5));
  EXPECT_EQ(were.total(), PageCount(15));
}

TEST(StateBlockTest, RunsGoOnAcrossWords) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 300));
  block->TransitionRange(Pages(60, 70), kAny, PageState::kPresent);
  block->TransitionRange(Pages(130, 3), kAny, PageState::kLost);
  EXPECT_EQ(block->FindRun(Pages(0, 300), PageState::kPresent), Pages(60, 70));
  EXPECT_EQ(block->FindRun(Pages(64, 300 - 64), PageState::kPresent),
            Pages(64, 66));
  EXPECT_EQ(
      block->FindRun(Pages(0, 300), PageState::kPresent | PageState::kLost),
      Pages(60, 73));
  EXPECT_EQ(block->FindRun(Pages(0, 96), PageState::kPresent), Pages(60, 36));
  EXPECT_EQ(block->FindRun(Pages(61, 300 - 61), PageState::kMissing),
            Pages(133, 167));
}

TEST(StateBlockTest, ARunThatDoesNotExistIsEmpty) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 100));
  EXPECT_TRUE(block->FindRun(Pages(3, 90), PageState::kLost).empty());
  EXPECT_TRUE(block->FindRun(Pages(3, 90), PageStates()).empty());
  EXPECT_TRUE(block->FindRun(Pages(3, 0), kAny).empty());
}

TEST(StateBlockTest, ClaimTakesTheFirstMissingRunAndNoMore) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 100));
  block->TransitionRange(Pages(0, 33), kAny, PageState::kPresent);
  block->TransitionRange(Pages(64, 1), kAny, PageState::kPresent);
  EXPECT_EQ(block->ClaimMissing(Pages(0, 100), PageCount(50)), Pages(33, 31));
  EXPECT_EQ(block->FindRun(Pages(0, 100), PageState::kRequested),
            Pages(33, 31));
  EXPECT_EQ(block->ClaimMissing(Pages(0, 100), PageCount(~uint64_t{0})),
            Pages(65, 35));
  EXPECT_TRUE(block->ClaimMissing(Pages(0, 100), PageCount(1)).empty());
}

TEST(StateBlockTest, ClaimOfFewerStopsInTheMiddleOfTheNextWord) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 100));
  EXPECT_EQ(block->ClaimMissing(Pages(20, 80), PageCount(40)), Pages(20, 40));
  EXPECT_EQ(block->Count(Pages(0, 100)).requested, PageCount(40));
}

TEST(StateBlockTest, ClaimFromTheEndTakesTheLastMissingRunAndNoMore) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 200));
  block->TransitionRange(Pages(130, 70), kAny, PageState::kPresent);
  block->TransitionRange(Pages(63, 1), kAny, PageState::kPresent);
  EXPECT_EQ(block->ClaimLastMissing(Pages(0, 200), PageCount(100)),
            Pages(64, 66));
  EXPECT_EQ(block->ClaimLastMissing(Pages(0, 200), PageCount(40)),
            Pages(23, 40));
  EXPECT_EQ(block->ClaimLastMissing(Pages(5, 195), PageCount(~uint64_t{0})),
            Pages(5, 18));
  EXPECT_TRUE(block->ClaimLastMissing(Pages(5, 195), PageCount(1)).empty());
  EXPECT_EQ(block->ClaimLastMissing(Pages(0, 200), PageCount(1)), Pages(4, 1));
  EXPECT_EQ(block->Count(Pages(0, 200)).requested, PageCount(66 + 40 + 18 + 1));
}

TEST(StateBlockTest, CopyOfAnUnalignedPartHasItsStates) {
  StateBlock::Ref block = StateBlock::New(Pages(10, 300));
  for (uint64_t i = 0; i < 300; ++i) {
    block->Transition(ImagePage(10 + i), kAny,
                      static_cast<PageState>(i * i % 7 % 4));
  }
  for (ImageRange part : {Pages(10, 300), Pages(11, 299), Pages(42, 96),
                          Pages(57, 33), Pages(309, 1)}) {
    StateBlock::Ref copy = block->CopyOf(part);
    for (uint64_t i = 0; i < part.count.raw(); ++i) {
      ImagePage page = part.first + PageCount(i);
      ASSERT_EQ(copy->Get(page), block->Get(page)) << part << " " << page;
    }
    EXPECT_EQ(copy->Count(part), block->Count(part)) << part;
  }
}

TEST(StateBlockTest, LivesAsLongAsTheLastRef) {
  StateBlock::Ref block = StateBlock::New(Pages(0, 10));
  StateBlock::Ref second = block.Share();
  EXPECT_FALSE(block.is_last());
  block = StateBlock::Ref();
  second->Transition(ImagePage(9), kAny, PageState::kLost);
  EXPECT_EQ(second->Get(ImagePage(9)), PageState::kLost);
  EXPECT_TRUE(second.is_last());
}

TEST(StateBlockTest, MoreThanMemoryIsRefused) {
  EXPECT_FALSE(StateBlock::New(Pages(0, ~uint64_t{0})));
}

}  // namespace
}  // namespace pagelift
