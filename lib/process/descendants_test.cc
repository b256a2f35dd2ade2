#include "lib/process/descendants.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;

TEST(DescendantsTest, AreFoundAtAnyDepthAndWithoutZombies) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd told(ends[0]);
  UniqueFd tell(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const pid_t zombie = fork();
    if (zombie == 0) _exit(0);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
    const pid_t grandchild = fork();
    if (grandchild != 0 &&
        write(tell.get(), &grandchild, sizeof(grandchild)) < 0) {
      _exit(1);
    }
    while (true) pause();
  }
  pid_t grandchild = 0;
  ASSERT_EQ(read(told.get(), &grandchild, sizeof(grandchild)),
            static_cast<ssize_t>(sizeof(grandchild)));
  {
    std::vector<PidFd> found = DescendantsOf(getpid());
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].pid(), child);
    EXPECT_EQ(found[1].pid(), grandchild);
    for (const PidFd& process : found) (void)process.Kill();
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THAT(DescendantsOf(getpid()), IsEmpty());
}

}  // namespace
}  // namespace pagelift
