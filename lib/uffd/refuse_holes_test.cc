#include "lib/uffd/refuse_holes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/fault_guard.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

constexpr uint64_t kPages = 4;
constexpr uint64_t kHole = 2;

// A file with a hole that was made after it was mapped, and its mapping.
class RefuseHolesTest : public ::testing::Test {
 protected:
  ~RefuseHolesTest() override { munmap(bytes_, kPages * kPageSize); }

  void Map(UniqueFd file) {
    file_ = std::move(file);
    const std::string contents(kPages * kPageSize, 'a');
    ASSERT_EQ(write(file_.get(), contents.data(), contents.size()),
              static_cast<ssize_t>(contents.size()));
    void* mapped =
        mmap(nullptr, contents.size(), PROT_READ, MAP_PRIVATE, file_.get(), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    bytes_ = static_cast<std::byte*>(mapped);
  }

  void MakeHole() {
    ASSERT_EQ(fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        kHole * kPageSize, kPageSize),
              0);
  }

  absl::Span<const std::byte> mapping() const {
    return {bytes_, kPages * kPageSize};
  }

  bool CanRead(uint64_t page) {
    return RunGuarded([&] {
      (void)*static_cast<volatile const std::byte*>(bytes_ + page * kPageSize);
    });
  }

  bool IsHole() {
    return lseek(file_.get(), kHole * kPageSize, SEEK_HOLE) ==
           static_cast<off_t>(kHole * kPageSize);
  }

  UniqueFd file_;
  std::byte* bytes_ = nullptr;
};

TEST_F(RefuseHolesTest, ReadingAHoleIsSigbusAndLeavesIt) {
  Map(UniqueFd(memfd_create("holes", MFD_CLOEXEC)));
  ASSERT_OK(RefuseHoles(mapping()));
  MakeHole();
  EXPECT_TRUE(CanRead(kHole - 1));
  EXPECT_FALSE(CanRead(kHole));
  EXPECT_TRUE(CanRead(kHole + 1));
  EXPECT_TRUE(IsHole());
}

TEST_F(RefuseHolesTest, TheKernelReadsNoHoleEither) {
  Map(UniqueFd(memfd_create("holes", MFD_CLOEXEC)));
  ASSERT_OK(RefuseHoles(mapping()));
  MakeHole();
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]);
  const UniqueFd other(ends[1]);
  EXPECT_EQ(send(one.get(), bytes_ + kHole * kPageSize, kPageSize, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_TRUE(IsHole());
}

TEST_F(RefuseHolesTest, WithoutItReadingFillsAHole) {
  Map(UniqueFd(memfd_create("holes", MFD_CLOEXEC)));
  MakeHole();
  EXPECT_TRUE(IsHole());
  EXPECT_TRUE(CanRead(kHole));
  EXPECT_FALSE(IsHole());
}

TEST_F(RefuseHolesTest, OtherFileSystemsAreRefused) {
  Map(UniqueFd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
  MakeHole();
  if (CanRead(kHole) && !IsHole()) GTEST_SKIP() << "/tmp is a tmpfs";
  EXPECT_THAT(RefuseHoles(mapping()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(IsHole());
}

}  // namespace
}  // namespace pagelift
