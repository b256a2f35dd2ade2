// UFFDIO_API against the running kernel, without UserfaultFd, whose factories
// allow no descriptor before it and no second one.

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/uffd_abi.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

// The errno, or 0.
template <typename Args>
int Call(int fd, unsigned long request, Args* args) {
  return ioctl(fd, request, args) == 0 ? 0 : errno;
}

UniqueFd OpenRaw(int flags) {
  return UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, flags)));
}

uffdio_api Api(uint64_t version, uint64_t features) {
  uffdio_api api = {};
  api.api = version;
  api.features = features;
  return api;
}

bool IsZero(const uffdio_api& api) {
  return api.api == 0 && api.features == 0 && api.ioctls == 0;
}

int Poll(int fd) {
  pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1 ? entry.revents : 0;
}

TEST(RawHandshakeTest, NothingWorksBefore) {
  const UniqueFd fd = OpenRaw(O_CLOEXEC | O_NONBLOCK);
  MappedPages pages(PageCount(1));
  const uffdio_range range = {AddressOf(pages.at(0)), kPageSize};
  uffdio_register registration = {range, UFFDIO_REGISTER_MODE_MISSING, 0};
  uffdio_range plain = range;
  uffdio_copy copy = {range.start, range.start, kPageSize, 0, 0};
  uffdio_zeropage zero = {range, 0, 0};
  uffdio_writeprotect protect = {range, 0};
  uffdio_continue map = {range, 0, 0};
  abi::PoisonArgs poison = {range, 0, 0};
  abi::MoveArgs move = {range.start, range.start, kPageSize, 0, 0};
  EXPECT_EQ(Call(fd.get(), UFFDIO_REGISTER, &registration), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_UNREGISTER, &plain), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_WAKE, &plain), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_COPY, &copy), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_ZEROPAGE, &zero), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_WRITEPROTECT, &protect), EINVAL);
  EXPECT_EQ(Call(fd.get(), UFFDIO_CONTINUE, &map), EINVAL);
  EXPECT_EQ(Call(fd.get(), abi::kIocPoison, &poison), EINVAL);
  EXPECT_EQ(Call(fd.get(), abi::kIocMove, &move), EINVAL);
  uffd_msg message;
  EXPECT_EQ(read(fd.get(), &message, sizeof(message)), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(Poll(fd.get()), POLLERR);
  // None of that was the handshake.
  uffdio_api api = Api(UFFD_API, 0);
  EXPECT_EQ(Call(fd.get(), UFFDIO_API, &api), 0);
  EXPECT_EQ(Poll(fd.get()), 0);
}

TEST(RawHandshakeTest, RefusalZeroesTheAnswerAndMayBeTriedAgain) {
  const UniqueFd fd = OpenRaw(O_CLOEXEC | O_NONBLOCK);
  uffdio_api api = Api(UFFD_API + 1, 0);
  EXPECT_EQ(Call(fd.get(), UFFDIO_API, &api), EINVAL);
  EXPECT_TRUE(IsZero(api));
  api = Api(UFFD_API, uint64_t{1} << 40);
  EXPECT_EQ(Call(fd.get(), UFFDIO_API, &api), EINVAL);
  EXPECT_TRUE(IsZero(api));
  api = Api(UFFD_API, 0);
  EXPECT_EQ(Call(fd.get(), UFFDIO_API, &api), 0);
  EXPECT_NE(api.features, 0u);
  EXPECT_EQ(api.ioctls, uint64_t{1} << _UFFDIO_REGISTER |
                            uint64_t{1} << _UFFDIO_UNREGISTER |
                            uint64_t{1} << _UFFDIO_API);
}

TEST(RawHandshakeTest, IsDoneOnlyOnce) {
  const UniqueFd fd = OpenRaw(O_CLOEXEC | O_NONBLOCK);
  uffdio_api api = Api(UFFD_API, 0);
  ASSERT_EQ(Call(fd.get(), UFFDIO_API, &api), 0);
  api = Api(UFFD_API, 0);
  EXPECT_EQ(Call(fd.get(), UFFDIO_API, &api), EINVAL);
  EXPECT_TRUE(IsZero(api));
}

TEST(RawHandshakeTest, BlockingDescriptorCannotBePolled) {
  const UniqueFd fd = OpenRaw(O_CLOEXEC);
  uffdio_api api = Api(UFFD_API, 0);
  ASSERT_EQ(Call(fd.get(), UFFDIO_API, &api), 0);
  EXPECT_EQ(Poll(fd.get()), POLLERR);
}

class RawHandshakeOfAChildTest : public UffdTest {
 protected:
  RawHandshakeOfAChildTest() : UffdTest(kLayoutEvents) {}
};

TEST_F(RawHandshakeOfAChildTest, IsDone) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process;
  const Forked forked = WaitFor<Forked>(uffd());
  uffdio_api api = Api(UFFD_API, 0);
  EXPECT_EQ(Call(forked.child.get(), UFFDIO_API, &api), EINVAL);
  process.Run();
  EXPECT_EQ(process.ExitCode(), 0);
}

}  // namespace
}  // namespace pagelift
