#include "lib/prefetch/streams.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/prefetch/testing/missing_pages_model.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() { pages_.Add({PageId(0), PageCount(10000)}); }

  void Fault(uint64_t page) {
    pages_.Claim(PageId(page));
    streams_.OnFault({PageId(page), MissingPagesModel::ImageOf(PageId(page))});
  }

  // All that it brings now, page by page.
  std::vector<uint64_t> Brought(uint64_t most = 64) {
    std::vector<uint64_t> brought;
    while (std::optional<PageMap::Piece> piece =
               streams_.Next(pages_, PageCount(most))) {
      EXPECT_LE(piece->pages.count.raw(), most);
      for (PageId page = piece->pages.first; page < piece->pages.limit();
           page = page + PageCount(1)) {
        brought.push_back(page.raw());
      }
    }
    return brought;
  }

  MissingPagesModel pages_;
  Streams streams_;
};

TEST_F(StreamsTest, OneStepIsNotAStream) {
  Fault(100);
  Fault(101);
  EXPECT_THAT(Brought(), IsEmpty());
}

TEST_F(StreamsTest, TwoEqualStepsAre) {
  Fault(100);
  Fault(101);
  Fault(102);
  EXPECT_THAT(Brought(), ElementsAre(103, 104, 105, 106));
}

TEST_F(StreamsTest, GoesDownAsWell) {
  Fault(102);
  Fault(101);
  Fault(100);
  EXPECT_THAT(Brought(), ElementsAre(96, 97, 98, 99));
}

TEST_F(StreamsTest, KeepsLongSteps) {
  Fault(100);
  Fault(117);
  Fault(134);
  EXPECT_THAT(Brought(), ElementsAre(151, 168, 185, 202));
}

TEST_F(StreamsTest, TakesNoStepsThatAreTooLong) {
  Fault(100);
  Fault(165);
  Fault(230);
  EXPECT_THAT(Brought(), IsEmpty());
}

TEST_F(StreamsTest, DoublesWhereTheWindowEnds) {
  Fault(100);
  Fault(101);
  Fault(102);
  EXPECT_EQ(Brought().size(), 4u);
  Fault(107);
  EXPECT_THAT(Brought(), ElementsAre(108, 109, 110, 111, 112, 113, 114, 115));
  Fault(116);
  EXPECT_EQ(Brought().size(), 16u);
  Fault(133);
  EXPECT_EQ(Brought().size(), 32u);
  Fault(166);
  EXPECT_EQ(Brought().size(), 64u);
  Fault(231);
  EXPECT_EQ(Brought().size(), 64u);
}

TEST_F(StreamsTest, SeveralAmongNoise) {
  Fault(100);
  Fault(5000);
  Fault(9000);
  Fault(101);
  Fault(5010);
  Fault(3000);
  Fault(102);
  Fault(5020);
  EXPECT_THAT(Brought(),
              ElementsAre(103, 104, 105, 106, 5030, 5040, 5050, 5060));
}

TEST_F(StreamsTest, ClosesAfterTwoMisses) {
  Fault(100);
  Fault(110);
  Fault(120);
  EXPECT_THAT(Brought(), ElementsAre(130, 140, 150, 160));
  Fault(173);
  Fault(178);
  Fault(170);  // Where it would have gone on.
  EXPECT_THAT(Brought(), IsEmpty());
}

TEST_F(StreamsTest, GoesByTheRequestedLength) {
  Fault(100);
  Fault(101);
  Fault(102);
  EXPECT_THAT(Brought(/*most=*/3), ElementsAre(103, 104, 105, 106));
}

TEST_F(StreamsTest, PassesOverWhatIsThere) {
  pages_.Claim(PageId(103));
  pages_.Claim(PageId(105));
  Fault(100);
  Fault(101);
  Fault(102);
  EXPECT_THAT(Brought(), ElementsAre(104, 106));
}

TEST_F(StreamsTest, EndsAtTheEndOfAllPages) {
  Fault(2);
  Fault(1);
  Fault(0);
  EXPECT_THAT(Brought(), IsEmpty());
  Fault(3);
  Fault(2);
  Fault(1);
}

}  // namespace
}  // namespace pagelift
