#include "lib/base/unique_fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <utility>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, ClosesWhenItGoesAway) {
  int raw = eventfd(0, EFD_CLOEXEC);
  {
    UniqueFd fd(raw);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(UniqueFdTest, MovingHandsTheDescriptorOver) {
  UniqueFd first(eventfd(0, EFD_CLOEXEC));
  int raw = first.get();
  UniqueFd second(std::move(first));
  EXPECT_EQ(second.get(), raw);
  EXPECT_TRUE(IsOpen(raw));
}

TEST(UniqueFdTest, AssigningClosesTheOldDescriptor) {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  int old = fd.get();
  UniqueFd other(eventfd(0, EFD_CLOEXEC));
  int raw = other.get();
  fd = std::move(other);
  EXPECT_FALSE(IsOpen(old));
  EXPECT_EQ(fd.get(), raw);
  EXPECT_TRUE(IsOpen(raw));
}

TEST(UniqueFdTest, ReleaseLeavesTheDescriptorOpen) {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  UniqueFd owner(fd.release());
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(IsOpen(owner.get()));
}

}  // namespace
}  // namespace pagelift
