#include "daemon/migration/receiver/restore_words.h"

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

TEST(RestoreWordsTest, AreReadAsTheyWereWritten) {
  for (bool lazy : {true, false}) {
    CriuWork restore;
    restore.images = "/images of it";
    restore.work_dir = "/work";
    restore.log_file = "restore.log";
    restore.lazy = lazy;
    restore.options = {"--tcp-established", "--external", "mnt[a]:/b c"};
    ASSERT_OK_AND_ASSIGN(const CriuWork read, FromWords(ToWords(restore)));
    EXPECT_EQ(read.kind, criu::RPC_RESTORE);
    EXPECT_EQ(read.images, restore.images);
    EXPECT_EQ(read.work_dir, restore.work_dir);
    EXPECT_EQ(read.log_file, restore.log_file);
    EXPECT_EQ(read.lazy, lazy);
    EXPECT_EQ(read.options, restore.options);
  }
}

TEST(RestoreWordsTest, OthersAreRefused) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FromWords({}), refused);
  EXPECT_THAT(FromWords({"/images", "/work", "log"}), refused);
  EXPECT_THAT(FromWords({"/images", "/work", "log", "hasty"}), refused);
}

}  // namespace
}  // namespace pagelift
