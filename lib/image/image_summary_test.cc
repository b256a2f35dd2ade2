#include "lib/image/image_summary.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

TEST(ImageSummaryTest, CountsWhereThePagesOfEachTaskComeFrom) {
  TempDir dir;
  ImageBuilder(dir.Join("pre"))
      .AddTask(7)
      .AddPages(Pages(0x1000, 32), kPresent)
      .Write();
  ImageBuilder(dir.Join("dump"))
      .SetParent("../pre")
      .SetRunId("run \x01")
      .AddTask(7, 0, "redis\n")
      .AddThread(8, 0)
      .AddMapping(Pages(0x1000, 16), MappingKind::kAnonymous)
      .AddMapping(Pages(0x1010, 16), MappingKind::kFile)
      .AddPages(Pages(0x1000, 2), kLazy | kPresent)
      .AddPages(Pages(0x1002, 3), kInParent)
      .AddPages(Pages(0x1005, 4), kLazy)
      .AddPages(Pages(0x1009, 1), kPresent)
      .AddPages(Pages(0x1010, 5), kInParent)
      .AddPages(Pages(0x1018, 1), kPresent)
      .AddZombie(9, 7)
      .Write();
  ASSERT_OK_AND_ASSIGN(ImageSummary summary, SummarizeImage(dir.Join("dump")));
  EXPECT_EQ(summary.content_id.size(), 32u);
  EXPECT_EQ(summary.run_id, "run \\001");
  EXPECT_EQ(summary.parent_images, 1u);
  ASSERT_EQ(summary.tasks.size(), 2u);
  const TaskSummary& task = summary.tasks[0];
  EXPECT_EQ(task.comm, "redis\\n");
  EXPECT_EQ(task.threads, 2u);
  EXPECT_EQ(task.mappings, 2u);
  EXPECT_EQ(task.lazy_regions, 1u);
  EXPECT_EQ(task.pages.lazy, PageCount(9));
  EXPECT_EQ(task.pages.parent, PageCount(3));
  EXPECT_EQ(task.pages.remote, PageCount(4));
  EXPECT_EQ(task.pages.eager, PageCount(7));
  EXPECT_EQ(task.pages.zero, PageCount(6));
  EXPECT_TRUE(summary.tasks[1].zombie);
  EXPECT_EQ(summary.tasks[1].comm, "gone");
  EXPECT_EQ(summary.total.lazy, PageCount(9));
  EXPECT_EQ(summary.total.zero, PageCount(6));
}

TEST(ImageSummaryTest, SaysWhatIsWrongWithAnImage) {
  TempDir dir;
  EXPECT_THAT(SummarizeImage(dir.path()),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
