#include "daemon/migration/receiver/criu_config.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(CriuConfigTest, SaysWhatACommandLineWould) {
  EXPECT_THAT(CriuConfig({}), IsOkAndHolds(""));
  EXPECT_THAT(CriuConfig({"--tcp-established"}),
              IsOkAndHolds("tcp-established\n"));
  EXPECT_THAT(CriuConfig({"--ghost-limit=1M", "--external", "mnt[a]:/b c"}),
              IsOkAndHolds("ghost-limit \"1M\"\nexternal \"mnt[a]:/b c\"\n"));
  EXPECT_THAT(CriuConfig({"--external=a\"b"}),
              IsOkAndHolds("external \"a\\\"b\"\n"));
}

TEST(CriuConfigTest, ShortOptionsAreSpelledOut) {
  EXPECT_THAT(CriuConfig({"-j", "-l", "-x"}),
              IsOkAndHolds("shell-job\nfile-locks\next-unix-sk\n"));
  EXPECT_THAT(CriuConfig({"-v4"}), IsOkAndHolds("verbosity \"4\"\n"));
  EXPECT_THAT(CriuConfig({"-v"}), IsOkAndHolds("verbosity \"4\"\n"));
}

TEST(CriuConfigTest, WhatCannotBeSaidIsRefused) {
  const std::vector<std::vector<std::string>> all = {
      {"-Q"},
      {"-v9"},
      {"-r", "/root"},
      {"word"},
      {"--external=a", "b"},
      {"--a", "b", "c"},
      {"--external=a\nlog-file b"},
      {"--images-dir=/tmp"},
      {"--images-dir", "/tmp"},
      {"--action-script", "/bin/true"}};
  for (const std::vector<std::string>& options : all) {
    EXPECT_THAT(
        CriuConfig(options),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cannot give")))
        << options[0];
  }
}

}  // namespace
}  // namespace pagelift
