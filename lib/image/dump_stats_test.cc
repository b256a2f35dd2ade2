#include "lib/image/dump_stats.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

std::string File(std::string_view message) {
  return ImageMagic(ImageKind::kStats) + FramedRecord(message);
}

TEST(DumpStatsTest, TellsHowManyPagesWereSent) {
  // As CRIU 4.2 wrote it, without what comes before and between.
  auto stats =
      DecodeDumpStats("stats-dump", File("\x0a\x05\x38\xe5\x7e\x70\x03"));
  ASSERT_OK(stats);
  EXPECT_EQ(stats->task_pages, PageCount(16229));
  EXPECT_EQ(stats->shared_pages, PageCount(3));
}

TEST(DumpStatsTest, RefusesOthers) {
  EXPECT_THAT(
      DecodeDumpStats("stats-dump", File("")).status(),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not of a dump")));
  EXPECT_THAT(DecodeDumpStats("stats-dump", "").status(),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace pagelift
