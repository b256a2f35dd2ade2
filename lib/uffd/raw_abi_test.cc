// What the running kernel answers to calls that UserfaultFd cannot make,
// because its types rule them out: what they keep us from, and what the
// decoding of results takes for granted.

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
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

int Poll(int fd) {
  pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1 ? entry.revents : 0;
}

uffdio_range Raw(PageRange range) {
  return {AddressOf(range.first), range.count.bytes()};
}

// What the result field holds before; the kernel never writes it.
constexpr int64_t kUntouched = kResultUntouched;

// These return the errno, and what the field holds after in `*result`.
int CallZero(int fd, uffdio_range range, uint64_t mode, int64_t* result) {
  uffdio_zeropage args = {range, mode, kUntouched};
  const int error = Call(fd, UFFDIO_ZEROPAGE, &args);
  *result = args.zeropage;
  return error;
}

int CallCopy(int fd, uffdio_range range, uint64_t mode, int64_t* result) {
  const auto bytes = Pattern(8, 7);
  uffdio_copy args = {};
  args.dst = range.start;
  args.src = reinterpret_cast<uint64_t>(bytes.data());
  args.len = range.len;
  args.mode = mode;
  args.copy = kUntouched;
  const int error = Call(fd, UFFDIO_COPY, &args);
  *result = args.copy;
  return error;
}

class RawAbiTest : public UffdTest {
 protected:
  int fd() const { return uffd().fd(); }
};

constexpr uint64_t kUnknownMode = uint64_t{1} << 40;

TEST_F(RawAbiTest, ResultFieldTellsProgressOrTheErrno) {
  MappedPages pages(uffd(), PageCount(4));
  int64_t result = 0;
  EXPECT_EQ(CallCopy(fd(), Raw(pages.range(2, 1)), 0, &result), 0);
  EXPECT_EQ(result, 4096);
  EXPECT_EQ(CallCopy(fd(), Raw(pages.range()), 0, &result), EAGAIN);
  EXPECT_EQ(result, 2 * 4096);
  EXPECT_EQ(CallCopy(fd(), Raw(pages.range(2, 2)), 0, &result), EEXIST);
  EXPECT_EQ(result, -EEXIST);
  EXPECT_EQ(CallZero(fd(), {16 << kPageShift, kPageSize}, 0, &result), ENOENT);
  EXPECT_EQ(result, -ENOENT);
}

TEST_F(RawAbiTest, BadArgumentsLeaveTheResultFieldAlone) {
  MappedPages pages(uffd(), PageCount(2));
  const uffdio_range good = Raw(pages.range());
  for (const uffdio_range bad : {
           uffdio_range{good.start + 1, kPageSize},
           uffdio_range{good.start, kPageSize + 1},
           uffdio_range{good.start, 0},
           uffdio_range{uint64_t{1} << 63, kPageSize},
           uffdio_range{~(kPageSize - 1), 2 * kPageSize},
       }) {
    int64_t result = 0;
    EXPECT_EQ(CallZero(fd(), bad, 0, &result), EINVAL);
    EXPECT_EQ(result, kUntouched) << std::hex << bad.start;
    EXPECT_EQ(CallCopy(fd(), bad, 0, &result), EINVAL);
    EXPECT_EQ(result, kUntouched) << std::hex << bad.start;
    uffdio_register registration = {bad, UFFDIO_REGISTER_MODE_MISSING, 0};
    EXPECT_EQ(Call(fd(), UFFDIO_REGISTER, &registration), EINVAL);
    uffdio_range plain = bad;
    EXPECT_EQ(Call(fd(), UFFDIO_UNREGISTER, &plain), EINVAL);
    EXPECT_EQ(Call(fd(), UFFDIO_WAKE, &plain), EINVAL);
    uffdio_writeprotect protect = {bad, 0};
    EXPECT_EQ(Call(fd(), UFFDIO_WRITEPROTECT, &protect), EINVAL);
    uffdio_continue map = {bad, 0, kUntouched};
    EXPECT_EQ(Call(fd(), UFFDIO_CONTINUE, &map), EINVAL);
    abi::PoisonArgs poison = {bad, 0, kUntouched};
    EXPECT_EQ(Call(fd(), abi::kIocPoison, &poison), EINVAL);
    EXPECT_EQ(poison.updated, kUntouched);
    abi::MoveArgs move = {bad.start, good.start, bad.len, 0, kUntouched};
    EXPECT_EQ(Call(fd(), abi::kIocMove, &move), EINVAL);
    EXPECT_EQ(move.move, kUntouched);
  }
}

TEST_F(RawAbiTest, UnknownModes) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  const uffdio_range range = Raw(pages.range());
  int64_t result = 0;
  EXPECT_EQ(CallCopy(fd(), range, kUnknownMode, &result), EINVAL);
  EXPECT_EQ(CallZero(fd(), range, kUnknownMode, &result), EINVAL);
  EXPECT_EQ(result, kUntouched);
  uffdio_register registration = {range, kUnknownMode, 0};
  EXPECT_EQ(Call(fd(), UFFDIO_REGISTER, &registration), EINVAL);
  uffdio_continue map = {range, kUnknownMode, 0};
  EXPECT_EQ(Call(fd(), UFFDIO_CONTINUE, &map), EINVAL);
  abi::PoisonArgs poison = {range, kUnknownMode, 0};
  EXPECT_EQ(Call(fd(), abi::kIocPoison, &poison), EINVAL);
  abi::MoveArgs move = {range.start, range.start, kPageSize, kUnknownMode, 0};
  EXPECT_EQ(Call(fd(), abi::kIocMove, &move), EINVAL);
  uffdio_writeprotect protect = {range, kUnknownMode};
  EXPECT_EQ(Call(fd(), UFFDIO_WRITEPROTECT, &protect), EINVAL);
  protect.mode =
      UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
  EXPECT_EQ(Call(fd(), UFFDIO_WRITEPROTECT, &protect), EINVAL);
}

TEST_F(RawAbiTest, BadPointersAndAnUnknownOperation) {
  for (const unsigned long request :
       {static_cast<unsigned long>(UFFDIO_REGISTER),
        static_cast<unsigned long>(UFFDIO_UNREGISTER),
        static_cast<unsigned long>(UFFDIO_WAKE),
        static_cast<unsigned long>(UFFDIO_COPY),
        static_cast<unsigned long>(UFFDIO_ZEROPAGE),
        static_cast<unsigned long>(UFFDIO_WRITEPROTECT),
        static_cast<unsigned long>(UFFDIO_CONTINUE), abi::kIocPoison,
        abi::kIocMove}) {
    EXPECT_EQ(Call<void>(fd(), request, nullptr), EFAULT) << request;
  }
  uffdio_range range = {};
  EXPECT_EQ(Call(fd(), _IOR(UFFDIO, 0x3e, uffdio_range), &range), EINVAL);
}

TEST_F(RawAbiTest, ReadIntoTooLittleRoom) {
  char room[kEventMessageSize - 1];
  EXPECT_EQ(read(fd(), room, sizeof(room)), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(RawAbiTest, ReadIntoABadBufferLosesTheFaultUntilItsThreadIsWoken) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages room(PageCount(1));
  ASSERT_EQ(mprotect(room.data(), kPageSize, PROT_READ), 0);
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  EXPECT_EQ(read(fd(), room.data(), kEventMessageSize), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(Poll(fd()), 0);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
  Copy(pages.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

class RawForkTest : public UffdTest {
 protected:
  RawForkTest() : UffdTest(kLayoutEvents | kOperations) {}
  int fd() const { return uffd().fd(); }
};

TEST_F(RawForkTest, ResultFieldWhileAnEventWaitsAndAfterTheTargetHasGone) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process;
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  int64_t result = 0;
  EXPECT_EQ(CallZero(fd(), Raw(pages.range()), 0, &result), EAGAIN);
  EXPECT_EQ(result, -EAGAIN);
  const Forked forked = WaitFor<Forked>(uffd());
  process.Run();
  ASSERT_EQ(process.ExitCode(), 0);
  uffdio_zeropage args = {Raw(pages.range()), 0, kUntouched};
  EXPECT_EQ(Call(forked.child.get(), UFFDIO_ZEROPAGE, &args), ESRCH);
  EXPECT_EQ(args.zeropage, kUntouched);
}

}  // namespace
}  // namespace pagelift
