#include "client/cli/local_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(LocalAddressTest, IsTheOneThatLeadsThere) {
  EXPECT_THAT(LocalAddressTowards("127.0.0.1:7078"), IsOkAndHolds("127.0.0.1"));
}

TEST(LocalAddressTest, AHostThatIsNoneIsTold) {
  EXPECT_THAT(
      LocalAddressTowards("no such host:1"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no such host")));
}

}  // namespace
}  // namespace pagelift
