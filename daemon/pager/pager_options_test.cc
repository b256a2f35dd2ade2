#include "daemon/pager/pager_options.h"

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/process/sandbox_mode.h"
#include "lib/transport/compression_choice.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

std::optional<int> Parse(std::vector<const char*> arguments,
                         PagerOptions* options) {
  arguments.insert(arguments.begin(), "pageliftd");
  return ParsePagerOptions(static_cast<int>(arguments.size()), arguments.data(),
                           options);
}

TEST(PagerOptionsTest, TakesHowLongToSpin) {
  PagerOptions options;
  EXPECT_EQ(Parse({}, &options), std::nullopt);
  EXPECT_EQ(options.spin, absl::Microseconds(100));
  EXPECT_EQ(Parse({"--spin-us=1000"}, &options), std::nullopt);
  EXPECT_EQ(options.spin, absl::Milliseconds(1));
  EXPECT_EQ(Parse({"--spin-us", "0"}, &options), std::nullopt);
  EXPECT_EQ(options.spin, absl::ZeroDuration());
}

TEST(PagerOptionsTest, TakesWhenToCompress) {
  PagerOptions options;
  EXPECT_EQ(Parse({"--compression=never"}, &options), std::nullopt);
  EXPECT_EQ(options.compression, Compression::kNever);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Parse({"--compression=lz4"}, &options), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("'lz4' is not auto, never or always"));
}

TEST(PagerOptionsTest, TakesHowToBeConfined) {
  PagerOptions options;
  EXPECT_EQ(Parse({}, &options), std::nullopt);
  EXPECT_EQ(options.sandbox, SandboxMode::kOn);
  EXPECT_EQ(Parse({"--sandbox=strict"}, &options), std::nullopt);
  EXPECT_EQ(options.sandbox, SandboxMode::kStrict);
  EXPECT_EQ(Parse({"--sandbox", "off"}, &options), std::nullopt);
  EXPECT_EQ(options.sandbox, SandboxMode::kOff);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Parse({"--sandbox=yes"}, &options), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("--sandbox: 'yes' is not on, strict or off"));
}

TEST(PagerOptionsTest, RefusesToSpinForNoTimeThatMakesSense) {
  for (const char* spin :
       {"--spin-us=1001", "--spin-us=-1", "--spin-us=100us", "--spin-us="}) {
    PagerOptions options;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Parse({spin}, &options), 2) << spin;
    EXPECT_THAT(::testing::internal::GetCapturedStderr(),
                HasSubstr("--spin-us: expected 0 to 1000 microseconds"));
  }
}

}  // namespace
}  // namespace pagelift
