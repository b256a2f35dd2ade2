#include "lib/image/task_image.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class TaskImageTest : public ::testing::Test {
 protected:
  ImageBuilder Builder() {
    ImageBuilder builder(dir_.path());
    builder.AddTask(7)
        .AddMapping(Pages(10, 10), MappingKind::kAnonymous)
        .AddMapping(Pages(20, 10), MappingKind::kAnonymous)
        .AddMapping(Pages(30, 10), MappingKind::kFile);
    return builder;
  }

  absl::StatusOr<TaskImage> Open() {
    auto chain = OpenImageChain(dir_.path());
    if (!chain.ok()) return chain.status();
    TaskRecord task;
    task.pid = 7;
    task.threads = {7};
    return TaskImage::Open(*chain, task);
  }

  std::vector<PageRange> Served(const TaskImage& task, PageRange pages,
                                uint32_t flags) {
    PagemapEntry entry;
    entry.pages = pages;
    entry.flags.in_parent = (flags & kInParent) != 0;
    entry.flags.lazy = (flags & kLazy) != 0;
    entry.flags.present = (flags & kPresent) != 0;
    return task.ServedPages(entry);
  }

  TempDir dir_;
};

TEST_F(TaskImageTest, ServesLazyPagesAndThoseOfTheParentInLazyRegions) {
  Builder().AddPages(Pages(15, 1), kInParent).Write();
  ASSERT_OK_AND_ASSIGN(TaskImage task, Open());
  EXPECT_THAT(Served(task, Pages(18, 4), kLazy | kPresent),
              ElementsAre(Pages(18, 2), Pages(20, 2)));
  EXPECT_THAT(Served(task, Pages(28, 4), kInParent), ElementsAre(Pages(28, 2)));
  EXPECT_THAT(Served(task, Pages(10, 4), kPresent), IsEmpty());
}

TEST_F(TaskImageTest, ParentPagesAtTheStackPointerAreNotServed) {
  Builder()
      .SetStackPointer(13 * kPageSize + 8)
      .AddPages(Pages(10, 8), kInParent)
      .Write();
  ASSERT_OK_AND_ASSIGN(TaskImage task, Open());
  EXPECT_THAT(Served(task, Pages(13, 2), kInParent), ElementsAre(Pages(14, 1)));
  EXPECT_THAT(Served(task, Pages(13, 1), kInParent), IsEmpty());
  EXPECT_THAT(Served(task, Pages(13, 2), kLazy), ElementsAre(Pages(13, 2)));
}

TEST_F(TaskImageTest, RefusesLazyPagesThatRestoreDoesNotRegister) {
  Builder().AddPages(Pages(28, 4), kLazy | kPresent).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("0x1e000 of task 7")));
}

}  // namespace
}  // namespace pagelift
