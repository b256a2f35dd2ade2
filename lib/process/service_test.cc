#include "lib/process/service.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(StopSignalsTest, ASignalThatCameBeforeTheWaitIsNotLost) {
  StopSignals signals;
  raise(SIGTERM);
  EXPECT_EQ(signals.Wait(), SIGTERM);
  EXPECT_EQ(signals.Wait(absl::Milliseconds(1)), std::nullopt);
}

TEST(RunServiceTest, LogsToTheFileAndTellsOfAFailureThereAndOnStderr) {
  TempDir dir;
  const ServiceLog log = {dir.Join("log"), LogLevel::kInfo};
  EXPECT_EQ(RunService("tool", log,
                       [](StopSignals&) {
                         LOG(Info) << "serving";
                         return absl::OkStatus();
                       }),
            0);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(RunService("tool", log,
                       [](StopSignals&) {
                         return absl::UnavailableError("no such place");
                       }),
            1);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "tool: no such place\n");
  std::ifstream file(log.file);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(text, AllOf(HasSubstr("serving"), HasSubstr("no such place")));
}

TEST(RunServiceTest, SaysWhichLogCannotBeOpenedAndServesNothing) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(RunService("tool", {"/nowhere/log", LogLevel::kInfo},
                       [](StopSignals&) {
                         ADD_FAILURE();
                         return absl::OkStatus();
                       }),
            1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("tool: open log file /nowhere/log"));
}

TEST(RunServiceTest, TakesAllDescriptorsThatThereAre) {
  RunService("tool", {}, [](StopSignals&) { return absl::OkStatus(); });
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(LogLevelIntoTest, TakesTheFourNames) {
  LogLevel level = LogLevel::kInfo;
  CommandLine line("tool", "Does things.");
  line.Add({"log-level", 0, "LEVEL", "", LogLevelInto(&level)});
  const char* good[] = {"tool", "--log-level", "error"};
  EXPECT_OK(line.Parse(3, good));
  EXPECT_EQ(level, LogLevel::kError);
  const char* bad[] = {"tool", "--log-level", "loud"};
  EXPECT_THAT(line.Parse(3, bad),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("loud")));
}

TEST(TellReadyTest, WritesTheWordAndCloses) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  EXPECT_OK(TellReady(ends[1], '\n'));
  char got[2];
  EXPECT_EQ(read(reader.get(), got, 2), 1);
  EXPECT_EQ(got[0], '\n');
  EXPECT_EQ(read(reader.get(), got, 2), 0);  // Closed.
  EXPECT_OK(TellReady(-1, '\n'));
}

}  // namespace
}  // namespace pagelift
