#include "lib/image/process_tree.h"

#include "criu/pstree.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

criu::Task Task(uint32_t pid, uint32_t ppid, std::vector<uint32_t> threads) {
  criu::Task task;
  task.set_pid(pid);
  task.set_ppid(ppid);
  for (uint32_t thread : threads) task.add_threads(thread);
  return task;
}

absl::StatusOr<std::vector<TaskRecord>> Decode(
    const std::vector<criu::Task>& tasks) {
  std::string contents = ImageMagic(ImageKind::kProcessTree);
  for (const criu::Task& task : tasks) {
    contents += FramedRecord(task.SerializeAsString());
  }
  return DecodeProcessTree("pstree.img", contents);
}

TEST(ProcessTreeTest, ReadsTasksThreadsAndZombiesInOrder) {
  ASSERT_OK_AND_ASSIGN(
      auto tasks,
      Decode({Task(18, 0, {18, 20}), Task(22, 18, {0}), Task(19, 18, {19})}));
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].pid, 18);
  EXPECT_EQ(tasks[0].ppid, 0);
  EXPECT_THAT(tasks[0].threads, ElementsAre(18, 20));
  EXPECT_TRUE(tasks[1].zombie);
  EXPECT_THAT(tasks[1].threads, IsEmpty());
  EXPECT_EQ(tasks[2].ppid, 18);
  EXPECT_FALSE(tasks[2].zombie);
}

TEST(ProcessTreeTest, TakesAZombieWhoseThreadWasLeftUnset) {
  ASSERT_OK_AND_ASSIGN(auto tasks,
                       Decode({Task(18, 0, {18}), Task(22, 18, {2436816416})}));
  EXPECT_TRUE(tasks[1].zombie);
  EXPECT_THAT(tasks[1].threads, IsEmpty());
}

TEST(ProcessTreeTest, RefusesImpossibleIds) {
  for (const criu::Task& bad :
       {Task(0, 0, {0}), Task(5000000, 0, {5000000}), Task(7, 5000000, {7}),
        Task(7, 0, {7, 0}), Task(7, 0, {8, 9}), Task(7, 0, {})}) {
    EXPECT_THAT(Decode({bad}),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset 8")))
        << bad.ShortDebugString();
  }
}

TEST(ProcessTreeTest, RefusesAPidTwice) {
  EXPECT_THAT(Decode({Task(7, 0, {7}), Task(7, 0, {7})}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("once more")));
}

TEST(ProcessTreeTest, RefusesATreeWithoutTasks) {
  EXPECT_THAT(Decode({}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no tasks")));
}

}  // namespace
}  // namespace pagelift
