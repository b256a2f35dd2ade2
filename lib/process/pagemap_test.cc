#include "lib/process/pagemap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

TEST(PagemapTest, TellsWhichPagesAreThere) {
  auto* at =
      static_cast<char*>(mmap(nullptr, 3 * kPageSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(at, MAP_FAILED);
  ASSERT_EQ(madvise(at, 3 * kPageSize, MADV_NOHUGEPAGE), 0);
  at[kPageSize] = 1;
  const PageRange range{PageContaining(reinterpret_cast<uint64_t>(at)),
                        PageCount(3)};
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Pagemap::Open(getpid()));
  EXPECT_THAT(pagemap.Read(range),
              IsOkAndHolds(ElementsAre(PageEntry::kNothing, PageEntry::kPage,
                                       PageEntry::kNothing)));
  munmap(at, 3 * kPageSize);
}

TEST(PagemapTest, AGuardIsNoPage) {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, Linux 6.13.
  void* at = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(at, MAP_FAILED);
  if (madvise(at, kPageSize, kGuardInstall) != 0) {
    ASSERT_EQ(errno, EINVAL);
    GTEST_SKIP() << "this kernel has no guards";
  }
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Pagemap::Open(getpid()));
  EXPECT_THAT(pagemap.Read({PageContaining(reinterpret_cast<uint64_t>(at)),
                            PageCount(1)}),
              IsOkAndHolds(ElementsAre(PageEntry::kMarked)));
  munmap(at, kPageSize);
}

TEST(PagemapTest, BeyondAllMemoryThereIsNothing) {
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Pagemap::Open(getpid()));
  EXPECT_THAT(pagemap.Read({PageContaining(uint64_t{1} << 62), PageCount(2)}),
              IsOkAndHolds(Each(PageEntry::kNothing)));
}

TEST(PagemapTest, AProcessThatDoesNotExistCannotBeOpened) {
  EXPECT_FALSE(Pagemap::Open(1 << 30).ok());
}

}  // namespace
}  // namespace pagelift
