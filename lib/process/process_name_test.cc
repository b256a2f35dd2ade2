#include "lib/process/process_name.h"

#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

constexpr char kAfterName[] =
    " T 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 2000 30 18446744";

TEST(ProcessStatTest, ReadsStateAndStart) {
  ASSERT_OK_AND_ASSIGN(ProcessStat stat,
                       ProcessStat::Parse(absl::StrCat("7 (sh)", kAfterName)));
  EXPECT_EQ(stat.state, 'T');
  EXPECT_EQ(stat.start_ticks, 4711u);
}

TEST(ProcessStatTest, ANameCannotMisleadIt) {
  ASSERT_OK_AND_ASSIGN(ProcessStat stat, ProcessStat::Parse(absl::StrCat(
                                             "7 (a) R 1 \n (b))", kAfterName)));
  EXPECT_EQ(stat.state, 'T');
  EXPECT_EQ(stat.start_ticks, 4711u);
}

TEST(ProcessStatTest, RefusesWhatIsNone) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ProcessStat::Parse(""), refused);
  EXPECT_THAT(ProcessStat::Parse("7 (sh)"), refused);
  EXPECT_THAT(ProcessStat::Parse("7 (sh) T 1 2 3"), refused);
  EXPECT_THAT(ProcessStat::Parse(std::string(100, ' ') + ")"), refused);
}

TEST(ProcessNameTest, OpensTheProcessItIsOf) {
  ASSERT_OK_AND_ASSIGN(const ProcessName self, NameOfProcess(getpid()));
  EXPECT_GT(self.start_ticks, 0u);
  ASSERT_OK_AND_ASSIGN(const PidFd process, OpenProcess(self));
  EXPECT_FALSE(process.HasExited());
}

TEST(ProcessNameTest, RefusesAnotherProcessOfThatNumber) {
  ASSERT_OK_AND_ASSIGN(ProcessName self, NameOfProcess(getpid()));
  ++self.start_ticks;
  EXPECT_THAT(OpenProcess(self), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ProcessNameTest, AProcessThatIsGoneHasNone) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THAT(NameOfProcess(child), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenProcess({child, 1}), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ProcessNameTest, IsWrittenDownAndRead) {
  const ProcessName name{23, 42};
  EXPECT_EQ(name.ToText(), "23 42");
  EXPECT_EQ(ProcessName::FromText("23 42"), name);
  for (const char* text : {"", "23", "23 ", "0 1", "-1 1", "1 2 3", "x 1"}) {
    EXPECT_EQ(ProcessName::FromText(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace pagelift
