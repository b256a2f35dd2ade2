#include "lib/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    SetLogSink(write_.get(), LogLevel::kInfo);
  }
  void TearDown() override { SetLogSink(2, LogLevel::kInfo); }

  std::string Logged() {
    char buffer[4096];
    ssize_t n = read(read_.get(), buffer, sizeof(buffer));
    return n > 0 ? std::string(buffer, n) : "";
  }

  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(LogTest, WritesOneLineThatSaysWhere) {
  LOG(Warning) << "pages " << 7;
  std::string line = Logged();
  EXPECT_THAT(line, HasSubstr("level=warning"));
  EXPECT_THAT(line, HasSubstr("at=log_test.cc:"));
  EXPECT_THAT(line, HasSubstr("msg=\"pages 7\"\n"));
}

TEST_F(LogTest, EscapesWhatWouldBreakTheLine) {
  LOG(Info) << "a \"b\"\nc";
  EXPECT_THAT(Logged(), HasSubstr("msg=\"a \\\"b\\\"\\nc\"\n"));
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevel) {
  LOG(Debug) << "not this";
  EXPECT_THAT(Logged(), IsEmpty());
}

TEST(CheckDeathTest, AbortsWithTheCondition) {
  EXPECT_DEATH(CHECK(1 == 2) << "sums", "CHECK failed: 1 == 2 sums");
}

}  // namespace
}  // namespace pagelift
