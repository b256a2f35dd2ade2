#include "daemon/pager/source/source_opener.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class SourceOpenerTest : public ::testing::Test {
 protected:
  SourceOpenerTest() {
    ImageBuilder(dir_.path())
        .AddTask(7)
        .AddMapping({PageId(0x1000), PageCount(16)}, MappingKind::kAnonymous)
        .AddPages({PageId(0x1000), PageCount(16)}, kLazy | kPresent)
        .Write();
    recording_.Append({ImagePage(9), PageCount(3)});
    recording_.Append({ImagePage(0), PageCount(1)});
  }

  TempDir dir_;
  const std::string url_ = "criu:" + dir_.path();
  const std::string file_ = dir_.Join("pagelift-working-set");
  Recording recording_;
};

TEST_F(SourceOpenerTest, AnImageOfThisHostHasAWorkingSetBesideIt) {
  ASSERT_OK_AND_ASSIGN(auto source, OpenSource(url_, {KeepWorkingSets::kYes}));
  EXPECT_THAT(source->WorkingSet(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(source->KeepRecording(recording_));
  ASSERT_OK_AND_ASSIGN(auto later, OpenSource(url_));
  EXPECT_EQ(later->description().content_id, source->description().content_id);
  ASSERT_OK_AND_ASSIGN(const Recording order, later->WorkingSet());
  EXPECT_THAT(order.runs(), ElementsAreArray(recording_.runs()));
}

TEST_F(SourceOpenerTest, WritesOnlyIfItMay) {
  ASSERT_OK_AND_ASSIGN(auto source, OpenSource(url_));
  EXPECT_THAT(source->KeepRecording(recording_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("without --keep-working-sets")));
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(SourceOpenerTest, ADamagedWorkingSetIsNone) {
  WriteFile(file_, "damaged");
  ASSERT_OK_AND_ASSIGN(auto source, OpenSource(url_));
  EXPECT_THAT(source->WorkingSet(), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
