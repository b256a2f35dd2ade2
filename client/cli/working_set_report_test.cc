#include "client/cli/working_set_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr PageCount kImage(10240);

WorkingSetSummary TwoRecordings() {
  WorkingSetSummary summary;
  summary.recordings = {{PageCount(1024), absl::FromUnixSeconds(1700000000)},
                        {PageCount(512), absl::FromUnixSeconds(1600000000)}};
  summary.shared = PageCount(256);
  return summary;
}

TEST(WorkingSetReportTest, TheTableHasALineForEachRecording) {
  EXPECT_EQ(WorkingSetTable(TwoRecordings(), kImage, absl::UTCTimeZone()),
            "RECORDING        PAGES      MEMORY   IMAGE  KEPT SINCE\n"
            "newest            1024     4.0 MiB   10.0%  2023-11-14 22:13:20\n"
            "older              512     2.0 MiB    5.0%  2020-09-13 12:26:40\n"
            "shared by 2        256     1.0 MiB    2.5%  brought first\n");
}

TEST(WorkingSetReportTest, OneRecordingSharesNothing) {
  WorkingSetSummary summary = TwoRecordings();
  summary.recordings.pop_back();
  EXPECT_THAT(WorkingSetTable(summary, kImage, absl::UTCTimeZone()),
              Not(HasSubstr("shared")));
}

TEST(WorkingSetReportTest, SaysThatThereIsNoneAndWhatIsIgnored) {
  WorkingSetSummary summary;
  EXPECT_EQ(WorkingSetTable(summary, PageCount(0), absl::UTCTimeZone()),
            "no recordings\n");
  summary.ignored = "/ckpt/x is ignored: it is damaged";
  EXPECT_EQ(WorkingSetTable(summary, kImage, absl::UTCTimeZone()),
            "no recordings\n! /ckpt/x is ignored: it is damaged\n");
}

TEST(WorkingSetReportTest, JsonHasTheSame) {
  WorkingSetSummary summary = TwoRecordings();
  summary.ignored = "\"x\"";
  EXPECT_EQ(WorkingSetJson(summary, "c0ffee", kImage),
            "{\"content_id\":\"c0ffee\",\"image_pages\":10240,"
            "\"shared_pages\":256,\"ignored\":\"\\\"x\\\"\",\"recordings\":["
            "{\"pages\":1024,\"kept_unix_seconds\":1700000000},"
            "{\"pages\":512,\"kept_unix_seconds\":1600000000}]}\n");
}

}  // namespace
}  // namespace pagelift
