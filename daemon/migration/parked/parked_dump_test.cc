// With real processes and a real CRIU.

#include "daemon/migration/parked/parked_dump.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "daemon/migration/answers/memory_answers.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/testing/criu_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

// Dumped by a CRIU that is answered, and by one that looks for itself.
class ParkedTreeTest : public ::testing::TestWithParam<bool> {
 protected:
  MemoryAnswers* answers() {
    if (!GetParam()) return nullptr;
    absl::StatusOr<std::unique_ptr<MemoryAnswers>> answers =
        MemoryAnswers::Prepare();
    EXPECT_OK(answers);
    if (answers.ok()) answers_ = *std::move(answers);
    return answers_.get();
  }

 private:
  std::unique_ptr<MemoryAnswers> answers_;
};

INSTANTIATE_TEST_SUITE_P(Parked, ParkedTreeTest, ::testing::Bool(),
                         [](const auto& param) {
                           return param.param ? "Answered" : "Unanswered";
                         });

TEST_P(ParkedTreeTest, ATreeThatIsParkedStandsStill) {
  CriuTarget target;
  target.Park(answers());
  EXPECT_TRUE(target.ComesToState(target.main(), 't'));
  EXPECT_TRUE(target.ComesToState(target.child(), 't'));
  EXPECT_FALSE(target.dump().process().HasExited());
  EXPECT_THAT(target.dump().WaitUntilEnded(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_P(ParkedTreeTest, AResetLetsTheTreeGoOn) {
  CriuTarget target;
  target.Park(answers());
  const uint64_t parked_at = target.count(kMain);
  target.leash().Reset();
  EXPECT_THAT(target.dump().WaitUntilEnded(kSoon),
              IsOkAndHolds(std::optional<int>(1)));
  EXPECT_TRUE(target.CountsOn(kMain));
  EXPECT_TRUE(target.CountsOn(kSecondThread));
  EXPECT_TRUE(target.CountsOn(kChild));
  EXPECT_GT(target.count(kMain), parked_at);
}

TEST_P(ParkedTreeTest, FinishingKillsTheTree) {
  CriuTarget target;
  target.Park(answers());
  ASSERT_OK(target.leash().Finish(target.dump().process(), kSoon));
  EXPECT_THAT(target.dump().WaitUntilEnded(kSoon),
              IsOkAndHolds(std::optional<int>(0)));
  EXPECT_TRUE(target.ComesToState(target.main(), 'Z'));
}

TEST_P(ParkedTreeTest, TheTreeOutlivesCriu) {
  CriuTarget target;
  target.Park(answers());
  ASSERT_OK(target.dump().process().Kill());
  EXPECT_THAT(target.dump().WaitUntilEnded(kSoon),
              IsOkAndHolds(std::optional<int>(128 + SIGKILL)));
  EXPECT_TRUE(target.CountsOn(kMain));
  EXPECT_TRUE(target.CountsOn(kSecondThread));
  EXPECT_TRUE(target.CountsOn(kChild));
  EXPECT_THAT(target.leash().Finish(target.dump().process(), kSoon),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST(ParkedDumpTest, IsAdoptedByNameAndNumber) {
  CriuTarget target;
  target.Park();
  ASSERT_OK_AND_ASSIGN(
      ParkedDump adopted,
      ParkedDump::Adopt(target.images(), target.dump().criu()));
  ASSERT_OK_AND_ASSIGN(CriuLeash leash,
                       CriuLeash::Adopt(dup(target.leash().fd())));
  adopted.Abandon(leash);
  EXPECT_TRUE(adopted.process().HasExited());
  EXPECT_TRUE(target.CountsOn(kMain));
  EXPECT_THAT(ParkedDump::Adopt(target.images(), target.dump().criu()),
              StatusIs(absl::StatusCode::kNotFound));
}

// Starts a dump by `plan` that will not be parked.
absl::Status DumpBy(const DumpPlan& plan, absl::Duration patience,
                    int cancel = -1) {
  absl::StatusOr<CriuLeash::Pair> pair = CriuLeash::Make();
  if (!pair.ok()) return pair.status();
  absl::StatusOr<ParkedDump> dump =
      ParkedDump::Start(plan, pair->leash, std::move(pair->for_criu));
  if (!dump.ok()) return dump.status();
  return dump->WaitUntilParked(pair->leash, patience, cancel);
}

TEST(ParkedDumpTest, SaysWhyCriuFailedAndWhatToDo) {
  CriuTarget target;
  DumpPlan plan = target.Plan();
  plan.root = target.child();  // Its session's leader is not below it.
  EXPECT_THAT(DumpBy(plan, kSoon),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("Error ("), HasSubstr("--shell-job"))));
  EXPECT_TRUE(target.CountsOn(kChild));
}

TEST(ParkedDumpTest, PassesTheUsersOptionsOn) {
  CriuTarget target;
  DumpPlan plan = target.Plan();
  plan.options = {"--no-such-option"};
  EXPECT_THAT(DumpBy(plan, kSoon),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no-such-option")));
  EXPECT_TRUE(target.CountsOn(kMain));
}

TEST(ParkedDumpTest, RefusesOptionsThatMakeAnotherDumpOfIt) {
  DumpPlan plan;
  plan.criu = "/bin/true";
  for (const char* option : {"--leave-running", "-R", "--port", "-t"}) {
    plan.options = {"--tcp-established", option};
    EXPECT_THAT(DumpBy(plan, kSoon),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(option)))
        << option;
  }
}

TEST(ParkedDumpTest, CanBeCancelled) {
  CriuTarget target;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd cancel(ends[0]);
  UniqueFd other(ends[1]);
  ASSERT_EQ(write(other.get(), "x", 1), 1);
  EXPECT_THAT(DumpBy(target.Plan(), kSoon, cancel.get()),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(target.CountsOn(kMain));
  // And when it has begun.
  ASSERT_OK_AND_ASSIGN(CriuLeash::Pair pair, CriuLeash::Make());
  ASSERT_OK_AND_ASSIGN(
      ParkedDump dump,
      ParkedDump::Start(target.Plan(), pair.leash, std::move(pair.for_criu)));
  ASSERT_OK(dump.WaitUntilReady(pair.leash, kSoon));
  EXPECT_THAT(dump.WaitUntilParked(pair.leash, kSoon, cancel.get()),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(dump.process().HasExited());
  EXPECT_TRUE(target.CountsOn(kMain));
  EXPECT_TRUE(target.CountsOn(kChild));
}

TEST(ParkedDumpTest, DoesNotWaitForACriuThatHangs) {
  CriuTarget target;
  DumpPlan plan = target.Plan();
  plan.criu = target.Join("criu");
  WriteFile(plan.criu, "#!/bin/sh\nexec sleep 1000000\n");
  ASSERT_EQ(chmod(plan.criu.c_str(), 0700), 0);
  ASSERT_OK_AND_ASSIGN(CriuLeash::Pair pair, CriuLeash::Make());
  ASSERT_OK_AND_ASSIGN(
      ParkedDump dump,
      ParkedDump::Start(plan, pair.leash, std::move(pair.for_criu)));
  dump.Abandon(pair.leash, absl::ZeroDuration());
  EXPECT_TRUE(dump.process().HasExited());
  EXPECT_TRUE(target.CountsOn(kMain));
}

TEST(ParkedDumpTest, AProgramThatIsNotThereIsNotStarted) {
  DumpPlan plan;
  plan.criu = "/no/such/criu";
  TempDir dir;
  plan.images = dir.path();
  EXPECT_THAT(DumpBy(plan, kSoon), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ParkedDumpTest, ACriuThatHasLookedForItselfIsToBeRunWithoutAnswers) {
  CriuTarget target;
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<MemoryAnswers> answers,
                       MemoryAnswers::Prepare());
  DumpPlan plan = target.Plan();
  plan.criu = "daemon/migration/parked/testing/unscanning_criu";
  plan.answers = answers.get();
  EXPECT_THAT(DumpBy(plan, kSoon), StatusIs(absl::StatusCode::kUnimplemented,
                                            HasSubstr("PAGEMAP_SCAN")));
}

}  // namespace
}  // namespace pagelift
