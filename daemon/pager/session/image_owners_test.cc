#include "daemon/pager/session/image_owners.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TaskDescription Task(int pid, std::vector<ImageRange> images) {
  TaskDescription task;
  task.pid = pid;
  uint64_t at = 1000;
  for (ImageRange image : images) {
    task.extents.push_back({{PageId(at), image.count}, image.first});
    at += 1000;
  }
  return task;
}

std::vector<std::pair<ImageRange, size_t>> Parts(const ImageOwners& owners,
                                                 ImageRange range) {
  std::vector<std::pair<ImageRange, size_t>> parts;
  owners.ForEach(range, [&](ImageRange part, size_t task) {
    parts.emplace_back(part, task);
  });
  return parts;
}

TEST(ImageOwnersTest, CutsARangeByTasks) {
  ImageDescription description;
  description.tasks = {Task(1, {Pages(0, 4), Pages(10, 4)}),
                       Task(2, {Pages(4, 2), Pages(6, 2)})};
  ASSERT_OK_AND_ASSIGN(ImageOwners owners, ImageOwners::Of(description));
  EXPECT_THAT(Parts(owners, Pages(2, 9)),
              ElementsAre(Pair(Pages(2, 2), 0), Pair(Pages(4, 4), 1),
                          Pair(Pages(10, 1), 0)));
  EXPECT_TRUE(Parts(owners, Pages(8, 2)).empty());
  EXPECT_TRUE(Parts(owners, Pages(14, 100)).empty());
}

TEST(ImageOwnersTest, RefusesAPageOfTwoTasks) {
  ImageDescription description;
  description.tasks = {Task(1, {Pages(0, 4)}), Task(2, {Pages(3, 2)})};
  EXPECT_THAT(ImageOwners::Of(description),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace pagelift
