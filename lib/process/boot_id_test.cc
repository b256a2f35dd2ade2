#include "lib/process/boot_id.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

TEST(BootIdTest, IsTheKernelsAndStaysTheSame) {
  const absl::StatusOr<std::string> id = BootId();
  ASSERT_THAT(id, IsOk());
  EXPECT_THAT(*id, ::testing::MatchesRegex("[0-9a-f-]+"));
  EXPECT_EQ(id->size(), 36u);
  EXPECT_THAT(BootId(), IsOkAndHolds(*id));
}

}  // namespace
}  // namespace pagelift
