// Of memory of our own, with the real kernel.

#include "daemon/migration/answers/pagemap_scan.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PagemapScanTest : public ::testing::Test {
 protected:
  static constexpr PageCount kSize{uint64_t{1} << 20};  // 4 GiB.

  void SetUp() override {
    memory_ = static_cast<volatile char*>(
        mmap(nullptr, kSize.bytes(), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(memory_, MAP_FAILED);
    madvise(Address(0), kSize.bytes(), MADV_NOHUGEPAGE);
    pagemap_.reset(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(pagemap_.valid());
  }
  void TearDown() override { munmap(Address(0), kSize.bytes()); }

  void* Address(uint64_t page) const {
    return const_cast<char*>(memory_) + page * kPageSize;
  }
  void Write(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      memory_[i * kPageSize] = 1;
    }
  }
  void Read(uint64_t page) { (void)memory_[page * kPageSize]; }
  PageRange Pages(uint64_t first, uint64_t count) const {
    return {PageContaining(reinterpret_cast<uint64_t>(Address(first))),
            PageCount(count)};
  }
  ScannedPages Scan(const std::vector<PageRange>& ranges) {
    absl::StatusOr<ScannedPages> found = ScanPages(pagemap_.get(), ranges);
    EXPECT_OK(found);
    return found.value_or(ScannedPages());
  }

  volatile char* memory_ = nullptr;
  UniqueFd pagemap_;
};

TEST_F(PagemapScanTest, WhatWasWrittenIsPresent) {
  Write(3, 2);
  Read(5);
  Write(7, 1);
  Write(kSize.raw() - 1, 1);
  const ScannedPages found = Scan({Pages(0, kSize.raw())});
  EXPECT_THAT(found.present,
              ElementsAre(Pages(3, 2), Pages(7, 1), Pages(kSize.raw() - 1, 1)));
  EXPECT_THAT(found.guards, IsEmpty());
}

TEST_F(PagemapScanTest, OnlyTheRangesCount) {
  Write(0, 100);
  const ScannedPages found = Scan({Pages(2, 3), Pages(90, 200)});
  EXPECT_THAT(found.present, ElementsAre(Pages(2, 3), Pages(90, 10)));
  EXPECT_THAT(Scan({}).present, IsEmpty());
}

// The parts that different threads look at.
TEST_F(PagemapScanTest, PartsAreJoined) {
  constexpr uint64_t kPart = (uint64_t{64} << 20) / kPageSize;
  Write(kPart - 2, 4);
  Write(5 * kPart, 1);
  Write(7 * kPart - 1, 1);
  EXPECT_THAT(Scan({Pages(0, kSize.raw())}).present,
              ElementsAre(Pages(kPart - 2, 4), Pages(5 * kPart, 1),
                          Pages(7 * kPart - 1, 1)));
}

TEST_F(PagemapScanTest, MoreRunsThanOneRequestTells) {
  std::vector<PageRange> expected;
  for (uint64_t i = 0; i < 5000; ++i) {
    Write(2 * i, 1);
    expected.push_back(Pages(2 * i, 1));
    // Between those numbers, and at them, the kernel tells in different ways.
    if (i % 256 < 2) {
      EXPECT_EQ(Scan({Pages(0, kSize.raw())}).present, expected);
    }
  }
  EXPECT_EQ(Scan({Pages(0, kSize.raw())}).present, expected);
}

TEST_F(PagemapScanTest, GuardsAreNoPages) {
  Write(10, 10);
  constexpr int kGuardInstall = 102;
  if (madvise(Address(12), 3 * kPageSize, kGuardInstall) != 0) {
    GTEST_SKIP() << "the kernel has no MADV_GUARD_INSTALL";
  }
  const ScannedPages found = Scan({Pages(0, 100)});
  EXPECT_THAT(found.present, ElementsAre(Pages(10, 2), Pages(15, 5)));
  EXPECT_THAT(found.guards, ElementsAre(Pages(12, 3)));
}

TEST_F(PagemapScanTest, WhatIsNoPagemapIsRefused) {
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(ScanPages(null.get(), {Pages(0, 1)}).ok());
}

// As of a process that runs between one look and the next.
TEST_F(PagemapScanTest, WhatIsKnownIsNotLookedForAndTheRestIsFound) {
  // The first page of a table, with another table before it.
  const uint64_t table = 1024 - Pages(0, 1).first.raw() % 512;
  Write(table - 3, 512 + 5);        // A table, and some at both its ends.
  Write(table + 3 * 512, 2 * 512);  // Two.
  Write(table + 6 * 512, 100);
  const std::vector<PageRange> known =
      WholeTables(Scan({Pages(0, kSize.raw())}).present);
  EXPECT_THAT(known,
              ElementsAre(Pages(table, 512), Pages(table + 3 * 512, 2 * 512)));
  ASSERT_EQ(madvise(Address(table + 10), 20 * kPageSize, MADV_DONTNEED), 0);
  Write(table + 512 + 2, 1);
  Write(table + 9 * 512, 1);
  const absl::StatusOr<ScannedPages> found = ScanPages(
      pagemap_.get(),
      {Pages(0, table + 4 * 512), Pages(table + 5 * 512, 5 * 512)}, known);
  ASSERT_OK(found);
  EXPECT_THAT(
      found->present,
      ElementsAre(Pages(table - 3, 512 + 6), Pages(table + 3 * 512, 512),
                  Pages(table + 6 * 512, 100), Pages(table + 9 * 512, 1)));
}

TEST_F(PagemapScanTest, WhatIsKnownOfOtherMemoryDoesNotMatter) {
  Write(5, 1);
  const absl::StatusOr<ScannedPages> found =
      ScanPages(pagemap_.get(), {Pages(4, 10), Pages(20, 10)},
                {Pages(0, 3), Pages(14, 6), Pages(30, 100)});
  ASSERT_OK(found);
  EXPECT_THAT(found->present, ElementsAre(Pages(5, 1)));
}

}  // namespace
}  // namespace pagelift
