#include "lib/prefetch/mix.h"

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

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Lt;

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

ImagePage Image(uint64_t page) {
  return MissingPagesModel::ImageOf(PageId(page));
}

class MixTest : public ::testing::Test {
 protected:
  MixTest() { pages_.Add(Pages(0, 10000)); }

  void Fault(Mix& mix, uint64_t page) {
    pages_.Claim(PageId(page));
    mix.OnFault({PageId(page), Image(page)});
  }

  std::vector<PageRange> Take(Mix& mix, int runs, uint64_t most = 64) {
    std::vector<PageRange> taken;
    for (int i = 0; i < runs; ++i) {
      std::optional<PageMap::Piece> piece = mix.Next(pages_, PageCount(most));
      if (!piece.has_value()) break;
      taken.push_back(piece->pages);
    }
    return taken;
  }

  MissingPagesModel pages_;
};

TEST_F(MixTest, StreamsComeFirst) {
  Mix mix({Image(9000)});
  Fault(mix, 100);
  Fault(mix, 117);
  Fault(mix, 134);
  EXPECT_THAT(Take(mix, 5),
              ElementsAre(Pages(151, 152), Pages(168, 169), Pages(185, 186),
                          Pages(202, 203), Pages(9000, 9001)));
}

TEST_F(MixTest, ReplayAndBubbleGetAsManyPages) {
  // Far apart, so that each is a run of its own.
  std::vector<ImagePage> recorded;
  for (uint64_t i = 0; i < 60; ++i) recorded.push_back(Image(5000 + 10 * i));
  Mix mix(recorded);
  Fault(mix, 100);
  uint64_t replayed = 0;
  uint64_t bubbled = 0;
  for (PageRange run : Take(mix, 60)) {
    (run.first < PageId(5000) ? bubbled : replayed) += run.count.raw();
    EXPECT_LE(replayed, bubbled + 1);
    EXPECT_LE(bubbled, replayed + 64);
  }
  EXPECT_GT(replayed, 30u);
}

TEST_F(MixTest, BubblesWhenTheRecordingHasEnded) {
  Mix mix({Image(9000)});
  Fault(mix, 100);
  EXPECT_THAT(Take(mix, 3),
              ElementsAre(Pages(9000, 9001), Pages(101, 133), Pages(68, 100)));
}

TEST_F(MixTest, BringsEverythingOnce) {
  std::vector<ImagePage> recorded;
  for (uint64_t i = 0; i < 3000; ++i) recorded.push_back(Image(i * 7 % 10000));
  Mix mix(recorded);
  std::vector<uint64_t> times(10000, 0);
  uint64_t fault = 1;
  for (int i = 0; !pages_.left().empty(); ++i) {
    ASSERT_LT(i, 20000);
    for (PageRange run : Take(mix, 1)) {
      for (uint64_t n = 0; n < run.count.raw(); ++n) {
        ++times[run.first.raw() + n];
      }
    }
    fault = fault * 48271 % 10007;
    if (fault < 10000) Fault(mix, fault);
  }
  EXPECT_THAT(times, Each(Lt(2u)));
  EXPECT_THAT(Take(mix, 1), ElementsAre());
}

}  // namespace
}  // namespace pagelift
