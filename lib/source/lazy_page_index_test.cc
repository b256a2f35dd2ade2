#include "lib/source/lazy_page_index.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TaskDescription Task(int32_t pid, std::vector<ImageExtent> extents) {
  TaskDescription task;
  task.pid = pid;
  task.lazy_regions = {Pages(0, 1000)};
  task.extents = std::move(extents);
  return task;
}

// Image pages 0 to 3 are of task 7, 6 to 9 of both: 8 alone is of 7 first.
LazyPageIndex Index() {
  ImageDescription image;
  image.content_id = "aa";
  image.page_count = PageCount(10);
  image.tasks = {
      Task(7, {{Pages(100, 4), ImagePage(0)}, {Pages(200, 1), ImagePage(8)}}),
      Task(9, {{Pages(500, 4), ImagePage(6)}})};
  EXPECT_TRUE(image.Validate().ok()) << image.Validate();
  return LazyPageIndex(image);
}

TEST(LazyPageIndexTest, FindsTheTaskAndItsPages) {
  auto owner = Index().OwnerOf(Image(1, 2));
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->pid, 7);
  EXPECT_EQ(owner->pages, Pages(101, 2));
}

TEST(LazyPageIndexTest, AnswersForTheFirstPagesOnly) {
  auto owner = Index().OwnerOf(Image(2, 8));
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->pages, Pages(102, 2));
}

TEST(LazyPageIndexTest, PagesOfNobodyHaveNoOwner) {
  EXPECT_FALSE(Index().OwnerOf(ImagePage(4)).has_value());
  EXPECT_FALSE(Index().OwnerOf(ImagePage(10)).has_value());
}

TEST(LazyPageIndexTest, OfSeveralOwnersTheFirstTaskCounts) {
  LazyPageIndex index = Index();
  EXPECT_EQ(index.OwnerOf(ImagePage(8))->pid, 7);
  EXPECT_EQ(index.OwnerOf(ImagePage(8))->pages, Pages(200, 1));
  EXPECT_EQ(index.OwnerOf(Image(6, 4))->pid, 9);
  EXPECT_EQ(index.OwnerOf(Image(6, 4))->pages, Pages(500, 2));
  EXPECT_EQ(index.OwnerOf(ImagePage(9))->pages, Pages(503, 1));
}

}  // namespace
}  // namespace pagelift
