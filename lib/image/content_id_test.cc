#include "lib/image/content_id.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/workingset/recording.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {
namespace {

using ::testing::MatchesRegex;

class ContentIdTest : public ::testing::Test {
 protected:
  ContentIdTest() {
    WriteFile(dir_.Join("inventory.img"), "i");
    WriteFile(dir_.Join("pstree.img"), "p");
    WriteFile(dir_.Join("mm-7.img"), "mm");
    WriteFile(dir_.Join("core-7.img"), "core");
    WriteFile(dir_.Join("pages-1.img"), "pages");
  }

  std::string Id() {
    auto directory = ImageDirectory::Open(dir_.path());
    EXPECT_OK(directory);
    auto id = ContentIdOf(*directory, tasks_);
    EXPECT_OK(id);
    return *id;
  }

  TempDir dir_;
  std::vector<TaskDescription> tasks_;
};

TEST_F(ContentIdTest, IsHexAndTheSameEachTime) {
  EXPECT_THAT(Id(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_EQ(Id(), Id());
}

TEST_F(ContentIdTest, DoesNotDependOnPagesOrLogs) {
  std::string before = Id();
  std::filesystem::remove(dir_.Join("pages-1.img"));
  WriteFile(dir_.Join("pagemap-7.img"), "thin");
  WriteFile(dir_.Join("restore.log"), "log");
  EXPECT_EQ(Id(), before);
}

TEST_F(ContentIdTest, DoesNotDependOnWorkingSets) {
  const std::string before = Id();
  ASSERT_OK_AND_ASSIGN(
      const WorkingSetFile file,
      WorkingSetFile::Open(dir_.path(), before, PageCount(10)));
  Recording recording;
  recording.Append({ImagePage(1), PageCount(2)});
  EXPECT_OK(file.Add(recording, absl::UnixEpoch()));
  EXPECT_EQ(Id(), before);
}

TEST_F(ContentIdTest, DependsOnEachMetadataFile) {
  for (const char* name :
       {"inventory.img", "pstree.img", "mm-7.img", "core-7.img"}) {
    std::string before = Id();
    WriteFile(dir_.Join(name), "other");
    EXPECT_NE(Id(), before) << name;
  }
}

TEST_F(ContentIdTest, DependsOnWhereABytesIs) {
  std::string before = Id();
  WriteFile(dir_.Join("mm-7.img"), "m");
  WriteFile(dir_.Join("core-7.img"), "corem");
  EXPECT_NE(Id(), before);
  std::filesystem::rename(dir_.Join("mm-7.img"), dir_.Join("mm-8.img"));
  WriteFile(dir_.Join("core-7.img"), "core");
  EXPECT_NE(Id(), before);
}

TEST_F(ContentIdTest, DependsOnTheNumbersOfPages) {
  std::string none = Id();
  TaskDescription task;
  task.extents = {{{PageId(16), PageCount(2)}, ImagePage(0)}};
  tasks_ = {task};
  std::string first = Id();
  EXPECT_NE(first, none);
  tasks_[0].extents[0].image = ImagePage(1);
  EXPECT_NE(Id(), first);
}

}  // namespace
}  // namespace pagelift
