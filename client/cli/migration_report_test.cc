#include "client/cli/migration_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::MigrationProgress Draining() {
  v1::MigrationProgress progress;
  progress.set_id("abc");
  progress.set_state("draining");
  progress.set_downtime_ms(120);
  progress.mutable_destination()->set_pages_total(1024);
  progress.mutable_destination()->set_pages_missing(256);
  progress.mutable_destination()->set_faults(17);
  return progress;
}

TEST(MigrationReportTest, KnowsWhereItRuns) {
  v1::MigrationProgress progress;
  for (const char* state : {"preparing", "parking", "shipping", "restoring",
                            "committing", "resuming", "aborting", "aborted"}) {
    progress.set_state(state);
    EXPECT_FALSE(RunsThere(progress)) << state;
  }
  for (const char* state : {"spooling", "draining", "releasing", "released"}) {
    progress.set_state(state);
    EXPECT_TRUE(RunsThere(progress)) << state;
  }
}

TEST(MigrationReportTest, ALineTellsWhatIsLeftAndHowLongThatTakes) {
  EXPECT_EQ(
      MigrationLine(Draining(), 1 << 20),
      "draining    75%  1.0 MiB left, 1.0 MiB/s, 1.00 s to go, 17 faults");
  EXPECT_EQ(MigrationLine(Draining(), 0),
            "draining    75%  1.0 MiB left, 17 faults");
}

TEST(MigrationReportTest, BeforeThatItTellsHowLongItIsStopped) {
  v1::MigrationProgress progress;
  progress.set_state("shipping");
  progress.set_downtime_ms(40);
  EXPECT_EQ(MigrationLine(progress, 0), "shipping   stopped for 40.0 ms");
  progress.set_trouble("no answer");
  EXPECT_THAT(MigrationLine(progress, 0), HasSubstr(", no answer"));
}

TEST(MigrationReportTest, TheSummarySaysWhereItRunsAndWhy) {
  v1::MigrationProgress progress = Draining();
  EXPECT_THAT(MigrationSummary(progress),
              AllOf(HasSubstr("runs there: stopped for 120.0 ms"),
                    Not(HasSubstr("lost"))));
  progress.set_state("released");
  progress.mutable_destination()->set_pages_lost(3);
  EXPECT_THAT(
      MigrationSummary(progress),
      AllOf(HasSubstr("with all its memory"), HasSubstr("3 pages are lost")));
  progress.set_state("aborted");
  progress.set_reason("no such host");
  EXPECT_THAT(MigrationSummary(progress),
              AllOf(HasSubstr("runs here"), HasSubstr("no such host")));
}

TEST(MigrationReportTest, JsonHasEveryPhase) {
  v1::MigrationProgress progress = Draining();
  v1::MigrationProgress::Phase* phase = progress.add_phases();
  phase->set_name("parking");
  phase->set_micros(12345);
  EXPECT_THAT(MigrationJson(progress),
              AllOf(HasSubstr(R"("state":"draining")"),
                    HasSubstr(R"("downtime_ms":120)"),
                    HasSubstr(R"([{"name":"parking","micros":12345}])")));
}

}  // namespace
}  // namespace pagelift
