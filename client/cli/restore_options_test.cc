#include "client/cli/restore_options.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::optional<int> Parse(std::vector<const char*> arguments,
                         RestoreOptions* options) {
  arguments.insert(arguments.begin(), "restore");
  return ParseRestoreOptions(static_cast<int>(arguments.size()),
                             arguments.data(), options);
}

TEST(RestoreOptionsTest, NeedsNoMoreThanTheImages) {
  RestoreOptions options;
  EXPECT_EQ(Parse({"-D", "/ckpt"}, &options), std::nullopt);
  EXPECT_EQ(options.images, "/ckpt");
  EXPECT_EQ(options.source, "");
  EXPECT_EQ(options.work_dir, "");
  EXPECT_EQ(options.control, kDefaultControlSocket);
  EXPECT_FALSE(options.wait);
  EXPECT_FALSE(options.json);
  EXPECT_THAT(options.criu_options, IsEmpty());
}

TEST(RestoreOptionsTest, TakesAll) {
  RestoreOptions options;
  EXPECT_EQ(Parse({"--images", "/ckpt", "--source=grpc://h:1/i", "-W", "/w",
                   "--criu", "/c", "--control", "/s", "--wait", "--json"},
                  &options),
            std::nullopt);
  EXPECT_EQ(options.source, "grpc://h:1/i");
  EXPECT_EQ(options.work_dir, "/w");
  EXPECT_EQ(options.criu, "/c");
  EXPECT_EQ(options.control, "/s");
  EXPECT_TRUE(options.wait);
  EXPECT_TRUE(options.json);
}

TEST(RestoreOptionsTest, WhatFollowsTheDashesIsCrius) {
  RestoreOptions options;
  EXPECT_EQ(Parse({"-D", "/ckpt", "--", "--shell-job", "-D", "x"}, &options),
            std::nullopt);
  EXPECT_EQ(options.images, "/ckpt");
  EXPECT_THAT(options.criu_options, ElementsAre("--shell-job", "-D", "x"));
}

TEST(RestoreOptionsTest, RefusesToGuessTheImages) {
  RestoreOptions options;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Parse({"--wait"}, &options), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("--images DIR is needed"));
}

}  // namespace
}  // namespace pagelift
