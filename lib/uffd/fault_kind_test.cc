#include "lib/uffd/fault_kind.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(FaultKindTest, Prints) {
  EXPECT_EQ(::testing::PrintToString(FaultKind::kWriteProtect),
            "write-protect");
  EXPECT_EQ(::testing::PrintToString(FaultKind::kMissing | FaultKind::kMinor),
            "missing|minor");
  EXPECT_EQ(::testing::PrintToString(FaultKinds()), "none");
}

}  // namespace
}  // namespace pagelift
