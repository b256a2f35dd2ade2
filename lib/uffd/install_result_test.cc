#include "lib/uffd/install_result.h"

#include <cerrno>
#include <string>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

struct Row {
  const char* situation;
  int returned;
  int error;
  int64_t field;
  Outcome outcome;
  uint64_t installed;
};

class DecodeInstallTest : public ::testing::TestWithParam<Row> {};

constexpr int64_t kPage = static_cast<int64_t>(kPageSize);

// Eight pages were asked for.
TEST_P(DecodeInstallTest, MapsTheKernelsAnswer) {
  const Row& row = GetParam();
  const InstallResult result =
      DecodeInstall(row.returned, row.error, row.field, PageCount(8));
  EXPECT_EQ(result.outcome, row.outcome) << row.situation;
  EXPECT_EQ(result.installed.raw(), row.installed) << row.situation;
  EXPECT_EQ(result.error, row.returned == 0 ? 0 : row.error) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    EveryRow, DecodeInstallTest,
    ::testing::Values(
        Row{"done", 0, 0, 8 * kPage, Outcome::kInstalled, 8},
        Row{"done, with an errno of before", 0, EEXIST, 8 * kPage,
            Outcome::kInstalled, 8},
        Row{"present", -1, EEXIST, -EEXIST, Outcome::kAlreadyPresent, 0},
        Row{"stopped on the way", -1, EAGAIN, 3 * kPage, Outcome::kInterrupted,
            3},
        Row{"stopped after the last page", -1, EAGAIN, 8 * kPage,
            Outcome::kInterrupted, 8},
        Row{"event", -1, EAGAIN, -EAGAIN, Outcome::kEventPending, 0},
        Row{"event, kernels that leave the field alone", -1, EAGAIN,
            kResultUntouched, Outcome::kEventPending, 0},
        Row{"nothing done", -1, EAGAIN, 0, Outcome::kEventPending, 0},
        Row{"half a page done", -1, EAGAIN, 2048, Outcome::kFailed, 0},
        Row{"more done than asked for", -1, EAGAIN, 9 * kPage, Outcome::kFailed,
            0},
        Row{"not registered", -1, ENOENT, -ENOENT, Outcome::kRangeGone, 0},
        Row{"source hole", -1, EFAULT, -EFAULT, Outcome::kSourceFault, 0},
        Row{"memory limit", -1, ENOMEM, -ENOMEM, Outcome::kNoMemory, 0},
        Row{"target exited", -1, ESRCH, kResultUntouched, Outcome::kTargetGone,
            0},
        Row{"target exited, Linux 4.11", -1, ENOSPC, kResultUntouched,
            Outcome::kTargetGone, 0},
        Row{"bad arguments", -1, EINVAL, kResultUntouched, Outcome::kFailed, 0},
        Row{"bad mode, field written", -1, EINVAL, -EINVAL, Outcome::kFailed,
            0},
        Row{"errno counts, not the field", -1, EINVAL, 8 * kPage,
            Outcome::kFailed, 0},
        Row{"pinned", -1, EBUSY, -EBUSY, Outcome::kFailed, 0}));

TEST(InstallResultTest, Prints) {
  EXPECT_EQ(::testing::PrintToString(
                InstallResult{Outcome::kInterrupted, PageCount(3), EAGAIN}),
            "interrupted after 3p (EAGAIN)");
  EXPECT_EQ(::testing::PrintToString(
                InstallResult{Outcome::kRangeGone, PageCount(0), ENOENT}),
            "range gone (ENOENT)");
}

}  // namespace
}  // namespace pagelift
