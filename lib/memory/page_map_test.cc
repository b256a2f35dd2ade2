#include "lib/memory/page_map.h"

#include <cstdint>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"
#include "lib/memory/page_state.h"

namespace pagelift {

bool operator==(const PageMap::Piece& a, const PageMap::Piece& b) {
  return a.pages == b.pages && a.image == b.image;
}
void PrintTo(const PageMap::Piece& piece, std::ostream* out) {
  *out << piece.pages << " from " << piece.image;
}

namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kEnd = ~uint64_t{0};

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}
ImageRange Images(uint64_t first, uint64_t limit) {
  return ImageRange::Between(ImagePage(first), ImagePage(limit));
}
PageMap::Piece Piece(uint64_t first, uint64_t limit, uint64_t image) {
  return {Pages(first, limit), ImagePage(image)};
}

// Pages [100, 200) from image pages [1000, 1100).
class PageMapTest : public ::testing::Test {
 protected:
  PageMapTest() {
    EXPECT_THAT(map_.Add(Pages(100, 200), ImagePage(1000)), IsOk());
  }

  std::vector<PageMap::Piece> In(PageRange pages, PageStates states) const {
    std::vector<PageMap::Piece> pieces;
    map_.ForEachIn(pages, states,
                   [&](const PageMap::Piece& p) { pieces.push_back(p); });
    return pieces;
  }
  std::vector<PageMap::Piece> Targets(ImageRange image,
                                      PageStates states) const {
    std::vector<PageMap::Piece> pieces;
    map_.ForEachTarget(image, states,
                       [&](const PageMap::Piece& p) { pieces.push_back(p); });
    return pieces;
  }
  std::optional<uint64_t> ImageAt(uint64_t page) const {
    auto location = map_.Find(PageId(page));
    if (!location.has_value()) return std::nullopt;
    return location->image.raw();
  }

  PageMap map_;
};

TEST_F(PageMapTest, AddedPagesAreMissingAndOthersAreNotThere) {
  EXPECT_EQ(ImageAt(99), std::nullopt);
  EXPECT_EQ(ImageAt(100), 1000u);
  EXPECT_EQ(ImageAt(199), 1099u);
  EXPECT_EQ(ImageAt(200), std::nullopt);
  EXPECT_EQ(map_.Find(PageId(150))->state, PageState::kMissing);
  EXPECT_EQ(map_.counts().missing, PageCount(100));
  EXPECT_EQ(map_.counts().total(), PageCount(100));
}

TEST_F(PageMapTest, AddRefusesWhatOverlapsInTheTarget) {
  for (PageRange pages : {Pages(50, 101), Pages(199, 300), Pages(120, 130),
                          Pages(50, 300), Pages(100, 200)}) {
    EXPECT_THAT(
        map_.Add(pages, ImagePage(5000)),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("overlaps")))
        << pages;
  }
  EXPECT_THAT(map_.Add(Pages(200, 201), ImagePage(5000)), IsOk());
}

TEST_F(PageMapTest, AddRefusesAnImagePageThatIsTakenElsewhere) {
  EXPECT_THAT(map_.Add(Pages(300, 310), ImagePage(1099)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[1099..1109 10p]")));
  EXPECT_THAT(map_.Add(Pages(300, 310), ImagePage(991)),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
  EXPECT_EQ(map_.counts().total(), PageCount(100));
  EXPECT_EQ(map_.extent_count(), 1u);
}

TEST_F(PageMapTest, AddRefusesNothingAndWhatWrapsAround) {
  for (auto [pages, image] :
       {std::pair(Pages(5, 5), uint64_t{0}),
        std::pair(PageRange{PageId(kEnd - 1), PageCount(2)}, uint64_t{0}),
        std::pair(PageRange{PageId(5), PageCount(kEnd)}, uint64_t{0}),
        std::pair(Pages(5, 7), kEnd - 1)}) {
    EXPECT_THAT(map_.Add(pages, ImagePage(image)),
                StatusIs(absl::StatusCode::kInvalidArgument, _))
        << pages;
  }
}

TEST_F(PageMapTest, AddOfMoreThanMemoryHasStatesForIsRefused) {
  PageMap map;
  EXPECT_THAT(map.Add(Pages(0, kEnd), ImagePage(0)),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_EQ(map.extent_count(), 0u);
  EXPECT_THAT(map.Add(Pages(0, uint64_t{1} << 28), ImagePage(0)), IsOk());
}

TEST_F(PageMapTest, TheHighestPagesWorkLikeOthers) {
  ASSERT_THAT(map_.Add(Pages(kEnd - 100, kEnd), ImagePage(kEnd - 100)), IsOk());
  EXPECT_EQ(ImageAt(kEnd - 1), kEnd - 1);
  EXPECT_TRUE(map_.Transition(PageId(kEnd - 1), PageState::kMissing,
                              PageState::kPresent));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(kEnd - 3)), PageCount(kEnd)),
            Piece(kEnd - 3, kEnd - 1, kEnd - 3));
  map_.Erase({PageId(kEnd - 50), PageCount(kEnd)});
  EXPECT_EQ(map_.counts().total(), PageCount(150));
}

TEST_F(PageMapTest, ErasedPagesAreZeroAndTheirImagePagesWantedNowhere) {
  map_.Erase(Pages(110, 120));
  EXPECT_EQ(ImageAt(109), 1009u);
  EXPECT_EQ(ImageAt(110), std::nullopt);
  EXPECT_EQ(ImageAt(119), std::nullopt);
  EXPECT_EQ(ImageAt(120), 1020u);
  EXPECT_THAT(Targets(Images(1005, 1025), PageState::kMissing),
              ElementsAre(Piece(105, 110, 1005), Piece(120, 125, 1020)));
  EXPECT_EQ(map_.counts().missing, PageCount(90));
}

TEST_F(PageMapTest, EraseForgetsStatesTooAndAddBeginsAnew) {
  map_.TransitionRange(Pages(100, 200), PageState::kMissing,
                       PageState::kPresent);
  map_.Erase(Pages(150, 160));
  ASSERT_THAT(map_.Add(Pages(150, 160), ImagePage(1050)), IsOk());
  EXPECT_EQ(map_.Find(PageId(155))->state, PageState::kMissing);
  EXPECT_EQ(map_.counts().present, PageCount(90));
  EXPECT_EQ(map_.counts().missing, PageCount(10));
}

TEST_F(PageMapTest, MovedPagesKeepStatesAndImagePages) {
  map_.Transition(PageId(115), PageState::kMissing, PageState::kRequested);
  map_.Move(PageId(110), PageId(1000), PageCount(10));
  EXPECT_EQ(ImageAt(115), std::nullopt);
  EXPECT_EQ(ImageAt(1005), 1015u);
  EXPECT_EQ(map_.Find(PageId(1005))->state, PageState::kRequested);
  EXPECT_EQ(map_.Find(PageId(1006))->state, PageState::kMissing);
  EXPECT_THAT(Targets(Images(1015, 1016), PageState::kRequested),
              ElementsAre(Piece(1005, 1006, 1015)));
}

TEST_F(PageMapTest, MoveReplacesWhatWasThereWithGapsToo) {
  ASSERT_THAT(map_.Add(Pages(300, 400), ImagePage(3000)), IsOk());
  map_.Move(PageId(190), PageId(350), PageCount(20));  // 10 pages and a gap.
  EXPECT_EQ(ImageAt(349), 3049u);
  EXPECT_EQ(ImageAt(350), 1090u);
  EXPECT_EQ(ImageAt(360), std::nullopt);
  EXPECT_EQ(ImageAt(369), std::nullopt);
  EXPECT_EQ(ImageAt(370), 3070u);
  EXPECT_EQ(map_.counts().total(), PageCount(180));
}

TEST_F(PageMapTest, MoveOntoItselfShifts) {
  map_.Transition(PageId(100), PageState::kMissing, PageState::kLost);
  map_.Move(PageId(100), PageId(105), PageCount(100));
  EXPECT_EQ(ImageAt(104), std::nullopt);
  EXPECT_EQ(ImageAt(105), 1000u);
  EXPECT_EQ(ImageAt(204), 1099u);
  EXPECT_EQ(map_.Find(PageId(105))->state, PageState::kLost);
  map_.Move(PageId(105), PageId(95), PageCount(100));
  EXPECT_EQ(ImageAt(95), 1000u);
  EXPECT_EQ(map_.counts().total(), PageCount(100));
  EXPECT_EQ(map_.extent_count(), 1u);
}

TEST_F(PageMapTest, PiecesThatComeTogetherAgainAreOneExtent) {
  map_.Move(PageId(120), PageId(500), PageCount(20));
  EXPECT_EQ(map_.extent_count(), 3u);
  map_.Move(PageId(500), PageId(120), PageCount(20));
  EXPECT_EQ(map_.extent_count(), 1u);
  map_.Move(PageId(120), PageId(121), PageCount(20));
  EXPECT_EQ(map_.extent_count(), 3u);
}

TEST_F(PageMapTest, ChildHasTheStatesOfItsMomentAndThenItsOwn) {
  map_.TransitionRange(Pages(110, 120), PageState::kMissing,
                       PageState::kRequested);
  map_.Erase(Pages(130, 140));
  PageMap child = map_.Fork();
  map_.TransitionRange(Pages(110, 120), PageState::kRequested,
                       PageState::kPresent);
  map_.Erase(Pages(150, 160));
  EXPECT_EQ(child.Find(PageId(115))->state, PageState::kRequested);
  EXPECT_FALSE(child.Find(PageId(135)).has_value());
  EXPECT_EQ(child.Find(PageId(155))->image, ImagePage(1055));
  EXPECT_EQ(child.counts().requested, PageCount(10));
  EXPECT_EQ(child.counts().total(), PageCount(90));
  child.Transition(PageId(145), PageState::kMissing, PageState::kLost);
  EXPECT_EQ(map_.Find(PageId(145))->state, PageState::kMissing);
}

TEST_F(PageMapTest, ChildOutlivesItsParent) {
  PageMap child = map_.Fork();
  map_ = PageMap();
  EXPECT_EQ(child.ClaimMissing(PagesFrom(PageId(0)), PageCount(5)),
            Piece(100, 105, 1000));
}

TEST_F(PageMapTest, UncoveredRunIsCutByExtentsAndBounds) {
  map_.Erase(Pages(150, 160));
  EXPECT_EQ(map_.UncoveredAround(PageId(155), Pages(0, 1000)), Pages(150, 160));
  EXPECT_EQ(map_.UncoveredAround(PageId(155), Pages(153, 158)),
            Pages(153, 158));
  EXPECT_EQ(map_.UncoveredAround(PageId(20), Pages(10, 1000)), Pages(10, 100));
  EXPECT_EQ(map_.UncoveredAround(PageId(900), Pages(10, 1000)),
            Pages(200, 1000));
  EXPECT_TRUE(map_.UncoveredAround(PageId(120), Pages(0, 1000)).empty());
  EXPECT_TRUE(map_.UncoveredAround(PageId(20), Pages(30, 1000)).empty());
}

TEST_F(PageMapTest, TargetsComeInImageOrderWhereverTheyLie) {
  map_.Move(PageId(100), PageId(5000), PageCount(50));
  map_.TransitionRange(Pages(0, 10000), PageState::kMissing,
                       PageState::kRequested);
  map_.Transition(PageId(5020), PageState::kRequested, PageState::kPresent);
  EXPECT_THAT(Targets(Images(1010, 1060), PageState::kRequested),
              ElementsAre(Piece(5010, 5020, 1010), Piece(5021, 5050, 1021),
                          Piece(150, 160, 1050)));
}

TEST_F(PageMapTest, RunsEndAtExtentBorders) {
  ASSERT_THAT(map_.Add(Pages(200, 210), ImagePage(5)), IsOk());
  EXPECT_THAT(In(Pages(190, 205), PageState::kMissing),
              ElementsAre(Piece(190, 200, 1090), Piece(200, 205, 5)));
  EXPECT_THAT(In(Pages(190, 205), PageState::kPresent), IsEmpty());
}

TEST_F(PageMapTest, VisitorsMayMakeTransitions) {
  map_.ForEachTarget(Images(1000, 1100), PageState::kMissing,
                     [&](const PageMap::Piece& piece) {
                       map_.TransitionRange(piece.pages, PageState::kMissing,
                                            PageState::kPresent);
                     });
  EXPECT_EQ(map_.counts().present, PageCount(100));
}

TEST_F(PageMapTest, TransitionTellsWhetherItWasItWhoChangedThePage) {
  EXPECT_TRUE(
      map_.Transition(PageId(100), PageState::kMissing, PageState::kRequested));
  EXPECT_FALSE(
      map_.Transition(PageId(100), PageState::kMissing, PageState::kRequested));
  EXPECT_FALSE(
      map_.Transition(PageId(99), PageState::kMissing, PageState::kRequested));
  EXPECT_EQ(map_.TransitionRange(Pages(0, 150),
                                 PageState::kMissing | PageState::kRequested,
                                 PageState::kPresent),
            PageCount(50));
  EXPECT_EQ(map_.counts().requested, PageCount(0));
  EXPECT_EQ(map_.counts().present, PageCount(50));
}

TEST_F(PageMapTest, ClaimsGoOnInAddressOrderUntilNothingIsMissing) {
  ASSERT_THAT(map_.Add(Pages(2000, 2010), ImagePage(7)), IsOk());
  map_.Transition(PageId(130), PageState::kMissing, PageState::kPresent);
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(20)),
            Piece(100, 120, 1000));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(20)),
            Piece(120, 130, 1020));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(500)),
            Piece(131, 200, 1031));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(500)),
            Piece(2000, 2010, 7));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(500)),
            std::nullopt);
  EXPECT_EQ(map_.counts().requested, PageCount(109));
}

TEST_F(PageMapTest, ClaimDoesNotLookBack) {
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(150)), PageCount(10)),
            Piece(150, 160, 1050));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(200)), PageCount(10)),
            std::nullopt);
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(0)),
            std::nullopt);
}

TEST_F(PageMapTest, ClaimsFromTheEndGoDown) {
  ASSERT_THAT(map_.Add(Pages(2000, 2010), ImagePage(7)), IsOk());
  map_.Transition(PageId(130), PageState::kMissing, PageState::kPresent);
  const PageRange all = PagesFrom(PageId(0));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(4)), Piece(2006, 2010, 13));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(500)), Piece(2000, 2006, 7));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(60)), Piece(140, 200, 1040));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(60)), Piece(131, 140, 1031));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(60)), Piece(100, 130, 1000));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(60)), std::nullopt);
  EXPECT_EQ(map_.counts().requested, PageCount(109));
}

TEST_F(PageMapTest, ClaimsStayWithinWhatTheyAreGiven) {
  EXPECT_EQ(map_.ClaimMissing(Pages(0, 100), PageCount(10)), std::nullopt);
  EXPECT_EQ(map_.ClaimMissing(Pages(90, 103), PageCount(10)),
            Piece(100, 103, 1000));
  EXPECT_EQ(map_.ClaimLastMissing(Pages(200, 300), PageCount(10)),
            std::nullopt);
  EXPECT_EQ(map_.ClaimLastMissing(Pages(197, 300), PageCount(10)),
            Piece(197, 200, 1097));
  EXPECT_EQ(map_.ClaimLastMissing(Pages(150, 150), PageCount(10)),
            std::nullopt);
  EXPECT_EQ(map_.ClaimLastMissing(Pages(150, 160), PageCount(0)), std::nullopt);
}

TEST_F(PageMapTest, ClaimsByImageFindWhereItIs) {
  map_.Move(PageId(120), PageId(5000), PageCount(10));
  auto image = [](uint64_t first, uint64_t limit) {
    return ImageRange::Between(ImagePage(first), ImagePage(limit));
  };
  EXPECT_EQ(map_.ClaimImage(image(1115, 1200), PageCount(50)), std::nullopt);
  EXPECT_EQ(map_.ClaimImage(image(1115 - 100, 1128), PageCount(50)),
            Piece(115, 120, 1015));
  EXPECT_EQ(map_.ClaimImage(image(1115 - 100, 1128), PageCount(4)),
            Piece(5000, 5004, 1020));
  EXPECT_EQ(map_.ClaimImage(image(0, 1100), PageCount(0)), std::nullopt);
  EXPECT_EQ(map_.ClaimImage(image(0, 900), PageCount(1)), std::nullopt);
}

TEST_F(PageMapTest, WhatBecomesMissingAgainIsFoundAgainFromTheEnd) {
  const PageRange all = PagesFrom(PageId(0));
  while (map_.ClaimLastMissing(all, PageCount(kEnd)).has_value()) {
  }
  map_.Transition(PageId(170), PageState::kRequested, PageState::kMissing);
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(9)), Piece(170, 171, 1070));
  EXPECT_EQ(map_.ClaimLastMissing(all, PageCount(1)), std::nullopt);
}

TEST_F(PageMapTest, WhatBecomesMissingAgainIsFoundAgain) {
  EXPECT_TRUE(
      map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(kEnd)).has_value());
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(1)),
            std::nullopt);
  map_.Transition(PageId(170), PageState::kRequested, PageState::kMissing);
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(9)),
            Piece(170, 171, 1070));
  map_.TransitionRange(Pages(110, 112), PageState::kRequested,
                       PageState::kMissing);
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(9)),
            Piece(110, 112, 1010));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(1)),
            std::nullopt);
  ASSERT_THAT(map_.Add(Pages(10, 12), ImagePage(3)), IsOk());
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(1)),
            Piece(10, 11, 3));
}

TEST_F(PageMapTest, MissingPagesThatMoveIntoFinishedPartsAreFound) {
  while (map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(kEnd)).has_value()) {
  }
  ASSERT_THAT(map_.Add(Pages(10000, 10001), ImagePage(3)), IsOk());
  map_.Move(PageId(10000), PageId(150), PageCount(1));
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(9)),
            Piece(150, 151, 3));
}

TEST_F(PageMapTest, MemoryIsGivenBack) {
  PageMap empty;
  map_.Move(PageId(120), PageId(500), PageCount(20));
  map_.Erase(Pages(0, 1000));
  EXPECT_EQ(map_.extent_count(), 0u);
  EXPECT_EQ(map_.MemoryUsage(), empty.MemoryUsage());
  EXPECT_EQ(map_.counts(), PageMap::Counts());
}

}  // namespace
}  // namespace pagelift
