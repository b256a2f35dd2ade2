#include "client/cli/session_report.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A quarter of 1 MiB has arrived.
v1::SessionStatus Draining() {
  v1::SessionStatus session;
  session.set_session("s3");
  session.set_state("draining");
  session.set_source("criu:/ckpt");
  session.set_pages_total(256);
  session.set_pages_missing(192);
  session.set_faults(17);
  session.set_bytes_received(262144);
  session.mutable_fault_latency()->set_p50_us(850);
  session.mutable_fault_latency()->set_p99_us(12300);
  return session;
}

TEST(SessionReportTest, TheTableHasALineForEachAndWhatIsWrongBelow) {
  v1::SessionStatus broken = Draining();
  broken.set_session("s4");
  broken.set_trouble("page server: gone");
  const std::string table = SessionTable({Draining(), broken});
  EXPECT_THAT(table,
              AllOf(StartsWith("SESSION "), HasSubstr("s3       draining "),
                    HasSubstr(" 25%  768.0 KiB       17    850 us   12.3 ms "),
                    HasSubstr("criu:/ckpt\n  ! page server: gone\n")));
}

TEST(SessionReportTest, SaysThatThereIsNone) {
  EXPECT_EQ(SessionTable({}), "no sessions\n");
}

TEST(SessionReportTest, ProgressIsALineWithoutEnd) {
  v1::SessionStatus session = Draining();
  EXPECT_EQ(ProgressLine(session), " 25%  768.0 KiB left, 17 faults");
  session.set_trouble("gone");
  EXPECT_EQ(ProgressLine(session), " 25%  768.0 KiB left, 17 faults, gone");
}

TEST(SessionReportTest, ThereIsNoShareOfNothing) {
  v1::SessionStatus session;
  session.set_state("serving");
  EXPECT_THAT(ProgressLine(session), StartsWith("  0%"));
  session.set_state("complete");
  EXPECT_THAT(ProgressLine(session), StartsWith("100%"));
}

// Unmapped since it was counted.
TEST(SessionReportTest, MoreMissingThanThereIsIsNothingDone) {
  v1::SessionStatus session = Draining();
  session.set_pages_missing(300);
  EXPECT_THAT(ProgressLine(session), StartsWith("  0%"));
}

TEST(SessionReportTest, TheSummaryTellsOfEventsOnlyIfThereWereAny) {
  v1::SessionStatus session = Draining();
  session.set_state("complete");
  session.set_time_to_complete_ms(1500);
  EXPECT_THAT(
      SessionSummary(session),
      AllOf(StartsWith("complete after 1.50 s: "), Not(HasSubstr("forks"))));
  session.set_forks(2);
  EXPECT_THAT(SessionSummary(session),
              HasSubstr("2 forks, 0 remaps, 0 removes, 0 unmaps\n"));
}

TEST(SessionReportTest, JsonIsOneObjectWithEscapedTexts) {
  v1::SessionStatus session = Draining();
  session.set_trouble("a \"quoted\"\nline");
  const std::string json = SessionJson(session);
  EXPECT_THAT(
      json, AllOf(StartsWith("{\"session\":\"s3\",\"source\":\"criu:/ckpt\","),
                  HasSubstr("\"trouble\":\"a \\\"quoted\\\"\\u000aline\""),
                  HasSubstr("\"pages_missing\":192,"),
                  HasSubstr("\"fault_latency_us\":{\"count\":0,\"p50\":850,"),
                  Not(HasSubstr("time_to_running_ms"))));
  EXPECT_THAT(SessionJson(session, 12),
              HasSubstr("\"time_to_running_ms\":12,"));
}

TEST(DaemonLineTest, OnlyADaemonThatHasCrashedIsWorthALine) {
  v1::DaemonStatus daemon;
  daemon.set_worker_pid(17);
  EXPECT_EQ(DaemonLine(daemon), "");
  EXPECT_EQ(StatusJson({}, daemon),
            "{\"sessions\":[],\"daemon\":{\"holder_pid\":0,\"worker_pid\":17,"
            "\"crashes\":0,\"upgrades\":0}}\n");
  daemon.set_crashes(2);
  EXPECT_THAT(DaemonLine(daemon), HasSubstr("crashed 2 times"));
}

}  // namespace
}  // namespace pagelift
