#include "daemon/migration/criu/criu_config.h"

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::string> Config(const std::vector<std::string>& options) {
  return CriuConfig(CriuCommand::kRestore, options);
}

TEST(CriuConfigTest, SaysWhatACommandLineWould) {
  EXPECT_THAT(Config({}), IsOkAndHolds(""));
  EXPECT_THAT(Config({"--tcp-established"}), IsOkAndHolds("tcp-established\n"));
  EXPECT_THAT(Config({"--ghost-limit=1M", "--external", "mnt[a]:/b c"}),
              IsOkAndHolds("ghost-limit \"1M\"\nexternal \"mnt[a]:/b c\"\n"));
  EXPECT_THAT(Config({"--external=a\"b"}),
              IsOkAndHolds("external \"a\\\"b\"\n"));
}

TEST(CriuConfigTest, ShortOptionsAreSpelledOut) {
  EXPECT_THAT(Config({"-j", "-l", "-x"}),
              IsOkAndHolds("shell-job\nfile-locks\next-unix-sk\n"));
  EXPECT_THAT(Config({"-v4"}), IsOkAndHolds("verbosity \"4\"\n"));
  EXPECT_THAT(Config({"-v"}), IsOkAndHolds("verbosity \"4\"\n"));
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
    EXPECT_THAT(Config(options), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("cannot give")))
        << options[0];
  }
}

TEST(CriuConfigTest, ADumpIsRefusedWhatARestoreMayHaveAndTheOtherWayRound) {
  const auto refused =
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("to criu dump"));
  for (const char* option :
       {"--leave-running", "--port=7", "-R", "-t", "--ps-socket", "--daemon"}) {
    EXPECT_THAT(CriuConfig(CriuCommand::kDump, {"--tcp-established", option}),
                refused)
        << option;
  }
  EXPECT_THAT(Config({"--port=7"}), IsOkAndHolds("port \"7\"\n"));
  EXPECT_THAT(Config({"--restore-sibling"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("to criu restore")));
  EXPECT_THAT(CriuConfig(CriuCommand::kDump, {"--network-lock=nftables"}),
              IsOkAndHolds("network-lock \"nftables\"\n"));
}

}  // namespace
}  // namespace pagelift
