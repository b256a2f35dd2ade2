#include "lib/prefetch/prefetch_mode.h"

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(PrefetchModeTest, ReadsWhatItWrites) {
  for (const char* text : {"full", "idle", "off", "rate=1", "rate=1000000"}) {
    ASSERT_OK_AND_ASSIGN(PrefetchMode mode, PrefetchMode::Parse(text));
    EXPECT_EQ(ToString(mode), text);
  }
}

TEST(PrefetchModeTest, IsFullByDefault) {
  EXPECT_EQ(ToString(PrefetchMode()), "full");
}

TEST(PrefetchModeTest, RefusesAnythingElseAndSaysWhatThereIs) {
  for (const char* text : {"", "fast", "rate", "rate=", "rate=0", "rate=-1",
                           "rate=1000001", "rate=1.5", "Full"}) {
    const absl::Status status = PrefetchMode::Parse(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("rate=N"));
  }
}

}  // namespace
}  // namespace pagelift
