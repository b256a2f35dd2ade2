#include "client/cli/migrate_options.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MigrateOptionsTest : public ::testing::Test {
 protected:
  // The exit code; nothing: go on.
  std::optional<int> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "migrate");
    testing::internal::CaptureStderr();
    const std::optional<int> code = ParseMigrateOptions(
        static_cast<int>(arguments.size()), arguments.data(), &options_);
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }
  MigrateOptions options_;
  std::string said_;
};

TEST_F(MigrateOptionsTest, ThePortNeedNotBeGiven) {
  EXPECT_EQ(Parse({"--pid", "17", "--to", "host-b", "--insecure"}),
            std::nullopt);
  EXPECT_EQ(options_.to, "host-b:7078");
  options_ = {};
  EXPECT_EQ(Parse({"--pid", "17", "--to", "[fe80::1]", "--insecure"}),
            std::nullopt);
  EXPECT_EQ(options_.to, "[fe80::1]:7078");
  options_ = {};
  EXPECT_EQ(Parse({"--pid", "17", "--to", "10.0.0.3:99", "--insecure"}),
            std::nullopt);
  EXPECT_EQ(options_.to, "10.0.0.3:99");
}

TEST_F(MigrateOptionsTest, PlainTextToAnotherHostIsToBeSpelledOut) {
  EXPECT_EQ(Parse({"--pid", "17", "--to", "10.0.0.3"}), 2);
  EXPECT_THAT(said_, HasSubstr("--insecure"));
  EXPECT_EQ(
      Parse({"--pid", "17", "--to", "10.0.0.3", "--tls", "/tls", "--insecure"}),
      2);
}

TEST_F(MigrateOptionsTest, WhatIsMissingIsTold) {
  EXPECT_EQ(Parse({"--to", "localhost"}), 2);
  EXPECT_THAT(said_, HasSubstr("--pid"));
  options_ = {};
  EXPECT_EQ(Parse({"--pid", "17"}), 2);
  EXPECT_THAT(said_, HasSubstr("--to"));
  EXPECT_EQ(Parse({"--resume", "abc", "--pid", "17"}), 2);
}

TEST_F(MigrateOptionsTest, OptionsOfBothGoToBoth) {
  EXPECT_EQ(Parse({"--pid", "17", "--to", "localhost", "--tcp-established",
                   "--dump-option=--ghost-limit=1M",
                   "--restore-option=--manage-cgroups"}),
            std::nullopt);
  EXPECT_THAT(options_.dump_options,
              ElementsAre("--tcp-established", "--ghost-limit=1M"));
  EXPECT_THAT(options_.restore_options,
              ElementsAre("--tcp-established", "--manage-cgroups"));
}

TEST_F(MigrateOptionsTest, WhatIsThereMayBeListedOrResumed) {
  EXPECT_EQ(Parse({"--list"}), std::nullopt);
  options_ = {};
  EXPECT_EQ(Parse({"--resume", "abc"}), std::nullopt);
}

TEST_F(MigrateOptionsTest, TheSpoolWaitsAsLongAsItIsTold) {
  EXPECT_EQ(Parse({"--pid", "17", "--to", "localhost"}), std::nullopt);
  EXPECT_EQ(options_.spool_after, absl::Seconds(2));
  EXPECT_EQ(Parse({"--pid", "17", "--to", "localhost", "--spool-after", "0s"}),
            std::nullopt);
  EXPECT_EQ(options_.spool_after, absl::ZeroDuration());
}

TEST_F(MigrateOptionsTest, DirectoriesAreAbsolute) {
  EXPECT_EQ(Parse({"--pid", "17", "--to", "localhost", "--spool", "here",
                   "--hook", "hook"}),
            std::nullopt);
  EXPECT_EQ(options_.spool.front(), '/');
  EXPECT_EQ(options_.hook.front(), '/');
  options_ = {};
  EXPECT_EQ(Parse({"--pid", "17", "--to", "localhost", "--spool", "none"}),
            std::nullopt);
  EXPECT_EQ(options_.spool, "none");
}

}  // namespace
}  // namespace pagelift
