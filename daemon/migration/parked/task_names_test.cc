#include "daemon/migration/parked/task_names.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

int WaitForever(void*) {
  while (true) pause();
}

// A child, the first process of a pid namespace of its own.
class TaskNamesTest : public ::testing::Test {
 protected:
  TaskNamesTest() {
    alignas(16) static std::array<char, 1 << 16> stack;
    child_ = clone(WaitForever, stack.data() + stack.size(),
                   CLONE_NEWPID | SIGCHLD, nullptr);
    EXPECT_GT(child_, 0);
  }
  ~TaskNamesTest() override {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

  pid_t child_ = 0;
  TempDir images_;
};

TEST_F(TaskNamesTest, KnowsThemByTheirNumbersInTheContainer) {
  ImageBuilder(images_.path()).AddTask(1).AddZombie(7, 1).Write();
  ASSERT_OK_AND_ASSIGN(const std::vector<TaskName> names,
                       NameTasks(images_.path(), child_));
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].image_pid, 1);
  EXPECT_FALSE(names[0].was_stopped);
  ASSERT_OK_AND_ASSIGN(const ProcessName name, NameOfProcess(child_));
  EXPECT_EQ(names[0].process, name);
}

TEST_F(TaskNamesTest, RefusesATreeThatHasChanged) {
  ImageBuilder(images_.path()).AddTask(2).Write();
  EXPECT_THAT(NameTasks(images_.path(), child_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("not in the images")));
  TempDir more;
  ImageBuilder(more.path()).AddTask(1).AddTask(2, 1).Write();
  EXPECT_THAT(NameTasks(more.path(), child_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("process 2 of the images has ended")));
}

TEST_F(TaskNamesTest, ARootThatHasEndedIsNotFound) {
  ImageBuilder(images_.path()).AddTask(1).Write();
  kill(child_, SIGKILL);
  siginfo_t ended;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOWAIT),
            0);
  EXPECT_THAT(NameTasks(images_.path(), child_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TaskNamesTest, RefusesADirectoryWithoutImages) {
  EXPECT_THAT(NameTasks(images_.path(), child_),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
