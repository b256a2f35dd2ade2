#include "daemon/migration/parked/memory_is_here.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(MemoryIsHereTest, ItIsUnlessSomeOfItIsRegistered) {
  EXPECT_OK(CheckMemoryIsHere(getpid()));
  ASSERT_OK_AND_ASSIGN(const UserfaultFd uffd, UserfaultFd::Open({}));
  const MappedPages pages(uffd, PageCount(4));
  EXPECT_THAT(CheckMemoryIsHere(getpid()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(ToString(pages.range())),
                             HasSubstr("pagelift complete"))));
}

TEST(MemoryIsHereTest, AForkedChildAndAZombieHaveTheirs) {
  ASSERT_OK_AND_ASSIGN(const UserfaultFd uffd, UserfaultFd::Open({}));
  const MappedPages pages(uffd, PageCount(4));
  // A fork that raises no event leaves the child without registered memory.
  const pid_t child = fork();
  while (child == 0) pause();
  EXPECT_OK(CheckMemoryIsHere(child));
  kill(child, SIGKILL);
  siginfo_t ended;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT),
            0);
  EXPECT_OK(CheckMemoryIsHere(child));  // A zombie has no memory.
  waitpid(child, nullptr, 0);
}

TEST(MemoryIsHereTest, LooksAtTheWholeTree) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ready(ends[0]);
  UniqueFd tell(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const absl::StatusOr<UserfaultFd> uffd = UserfaultFd::Open({});
    if (!uffd.ok()) _exit(1);
    const MappedPages pages(*uffd, PageCount(4));
    if (write(tell.get(), "r", 1) != 1) _exit(1);
    while (true) pause();
  }
  tell.reset();
  char byte = 0;
  ASSERT_EQ(read(ready.get(), &byte, 1), 1);
  EXPECT_THAT(CheckMemoryIsHere(getpid()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(std::to_string(child))));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace pagelift
