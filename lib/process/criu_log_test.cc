#include "lib/process/criu_log.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;
using ::testing::StartsWith;

class CriuLogTest : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string log_ = dir_.Join("restore.log");
};

TEST_F(CriuLogTest, TheLastComplaintsAreQuoted) {
  WriteFile(log_,
            "Error (a.c:1): one\nError (a.c:2): two\nfine\n"
            "Error (a.c:3): three\nError (a.c:4): four\n");
  EXPECT_THAT(CriuComplaints(log_),
              Optional(Eq("Error (a.c:2): two; Error (a.c:3): three; "
                          "Error (a.c:4): four")));
  EXPECT_THAT(ExplainCriuFailure("/bin/criu", log_),
              AllOf(StartsWith(": Error (a.c:2)"), HasSubstr(log_),
                    HasSubstr("/bin/criu check"), Not(HasSubstr("a.c:1"))));
}

TEST_F(CriuLogTest, ALogWithoutComplaintsIsNamed) {
  WriteFile(log_, "fine\n");
  EXPECT_THAT(CriuComplaints(log_), Optional(Eq("")));
  EXPECT_THAT(ExplainCriuFailure("/bin/criu", log_),
              StartsWith("; its log, " + log_ + ", has no error"));
}

TEST_F(CriuLogTest, ALogThatIsNotThereIsNotPointedTo) {
  EXPECT_EQ(CriuComplaints(log_), std::nullopt);
  EXPECT_THAT(
      ExplainCriuFailure("/bin/criu", log_),
      AllOf(StartsWith(" and wrote no restore.log"), Not(HasSubstr(log_))));
}

}  // namespace
}  // namespace pagelift
