#include "lib/process/service.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(StopSignalsTest, ASignalThatCameBeforeTheWaitIsNotLost) {
  StopSignals signals;
  raise(SIGTERM);
  EXPECT_EQ(signals.Wait(), SIGTERM);
  EXPECT_EQ(signals.Wait(absl::Milliseconds(1)), std::nullopt);
}

TEST(OpenServiceLogTest, SaysWhichFileCannotBeOpened) {
  EXPECT_THAT(OpenServiceLog("/nowhere/log", LogLevel::kInfo),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/log")));
}

TEST(OpenServiceLogTest, LogsToTheFile) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(UniqueFd log,
                       OpenServiceLog(dir.Join("log"), LogLevel::kInfo));
  LOG(Info) << "hello";
  SetLogSink(STDERR_FILENO, LogLevel::kInfo);
  EXPECT_GT(lseek(log.get(), 0, SEEK_END), 0);
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

TEST(RaiseDescriptorLimitTest, GoesToTheHardLimit) {
  RaiseDescriptorLimit();
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

}  // namespace
}  // namespace pagelift
