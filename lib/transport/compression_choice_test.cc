#include "lib/transport/compression_choice.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

// A link, and a processor that compresses: how fast pages arrive follows.
struct Path {
  double link_mb = 100;       // In a second.
  double ratio = 2;           // How much shorter pages get.
  double processor_mb = 350;  // Compressed in a second.
};

class CompressionChoiceTest : public ::testing::Test {
 protected:
  // Pages arrive for so long; what is asked for comes `kLag` batches later.
  void Run(const Path& path, absl::Duration length) {
    const absl::Duration end = now_ + length;
    while (now_ < end) {
      const auto [compressed, asked] = under_way_.front();
      under_way_.pop_front();
      under_way_.emplace_back(choice_.compress(), now_);
      const double mb =
          compressed ? std::min(path.link_mb * path.ratio, path.processor_mb)
                     : path.link_mb;
      const absl::Duration took = absl::Seconds(0.25 / mb);
      now_ += took;
      (compressed ? compressed_for_ : raw_for_) += took;
      choice_.OnArrived(PageCount(64), asked, now_);
    }
  }

  // Of the time from now on.
  double CompressedShare(const Path& path, absl::Duration length) {
    raw_for_ = absl::ZeroDuration();
    compressed_for_ = absl::ZeroDuration();
    Run(path, length);
    return absl::FDivDuration(compressed_for_, compressed_for_ + raw_for_);
  }

  static constexpr int kLag = 8;
  CompressionChoice choice_;
  absl::Duration now_ = absl::Hours(1);
  std::deque<std::pair<bool, absl::Duration>> under_way_{
      kLag, {false, absl::Hours(1)}};
  absl::Duration raw_for_;
  absl::Duration compressed_for_;
};

TEST_F(CompressionChoiceTest, AFastLinkIsLeftAlone) {
  EXPECT_EQ(CompressedShare({1000, 4, 350}, absl::Seconds(60)), 0);
}

TEST_F(CompressionChoiceTest, ASlowLinkIsRelieved) {
  for (double link : {1.0, 12.0, 100.0}) {
    choice_ = CompressionChoice();
    Run({link, 2, 350}, absl::Seconds(10));
    EXPECT_GT(CompressedShare({link, 2, 350}, absl::Seconds(60)), 0.8) << link;
  }
}

TEST_F(CompressionChoiceTest, WhereNothingGetsShorterItIsHardlyTried) {
  EXPECT_LT(CompressedShare({12, 1.03, 350}, absl::Seconds(600)), 0.05);
}

TEST_F(CompressionChoiceTest, WhereTheProcessorIsSlowerThanTheLinkItIsNotUsed) {
  EXPECT_LT(CompressedShare({100, 4, 80}, absl::Seconds(600)), 0.05);
}

TEST_F(CompressionChoiceTest, ChangesWithTheLink) {
  Run({100, 2, 350}, absl::Seconds(10));
  ASSERT_TRUE(choice_.compress());
  Run({1000, 2, 350}, absl::Seconds(10));
  EXPECT_LT(CompressedShare({1000, 2, 350}, absl::Seconds(60)), 0.05);
  Run({10, 2, 350}, absl::Seconds(10));
  EXPECT_GT(CompressedShare({10, 2, 350}, absl::Seconds(60)), 0.8);
}

TEST_F(CompressionChoiceTest, ChangesWithWhatPagesHold) {
  Run({50, 3, 350}, absl::Seconds(10));
  EXPECT_LT(CompressedShare({50, 1.01, 350}, absl::Seconds(600)), 0.1);
}

TEST_F(CompressionChoiceTest, PausesAreNotTakenForASlowLink) {
  for (int i = 0; i < 1000; ++i) {
    Run({1000, 2, 350}, absl::Milliseconds(5));
    choice_.OnIdle();
    now_ += absl::Milliseconds(100);
  }
  EXPECT_FALSE(choice_.compress());
  EXPECT_EQ(compressed_for_, absl::ZeroDuration());
}

TEST(CompressionTest, HasThreeNames) {
  EXPECT_THAT(ParseCompression("auto"), IsOkAndHolds(Compression::kAuto));
  EXPECT_THAT(ParseCompression("never"), IsOkAndHolds(Compression::kNever));
  EXPECT_THAT(ParseCompression("always"), IsOkAndHolds(Compression::kAlways));
  EXPECT_THAT(ParseCompression("zstd"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zstd")));
}

}  // namespace
}  // namespace pagelift
