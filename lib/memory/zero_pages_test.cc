#include "lib/memory/zero_pages.h"

#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(ZeroPagesTest, CutsRunsWhereZeroAndDataMeet) {
  std::vector<std::byte> bytes(5 * kPageSize);
  bytes[3 * kPageSize - 1] = std::byte{1};  // The last byte of page 2.
  absl::Span<const std::byte> all(bytes);
  ZeroRun run = FirstRun(all, PageCount(64));
  EXPECT_TRUE(run.zero);
  EXPECT_EQ(run.count, PageCount(2));
  run = FirstRun(all.subspan(2 * kPageSize), PageCount(64));
  EXPECT_FALSE(run.zero);
  EXPECT_EQ(run.count, PageCount(1));
  run = FirstRun(all.subspan(3 * kPageSize), PageCount(64));
  EXPECT_TRUE(run.zero);
  EXPECT_EQ(run.count, PageCount(2));
}

TEST(ZeroPagesTest, CutsDataButNotZerosAtTheMost) {
  std::vector<std::byte> data(9 * kPageSize, std::byte{7});
  EXPECT_EQ(FirstRun(data, PageCount(4)).count, PageCount(4));
  std::vector<std::byte> zeros(9 * kPageSize);
  EXPECT_EQ(FirstRun(zeros, PageCount(4)).count, PageCount(9));
}

TEST(ZeroPagesTest, OneBitAnywhereMakesAPageData) {
  for (size_t at :
       {size_t{0}, size_t{7}, size_t{8}, size_t{2049}, size_t{kPageSize - 1}}) {
    std::vector<std::byte> page(kPageSize);
    page[at] = std::byte{0x80};
    EXPECT_FALSE(FirstRun(page, PageCount(1)).zero) << at;
  }
}

}  // namespace
}  // namespace pagelift
