#include "lib/memory/zero_pages.h"

#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(ZeroPagesTest, CutsRunsWhereZeroAndDataMeet) {
  std::vector<std::byte> bytes(5 * kPageSize);
  bytes[3 * kPageSize - 1] = std::byte{1};  // The last byte of page 2.
  absl::Span<const std::byte> all(bytes);
  ZeroRun run = FirstRun(all);
  EXPECT_TRUE(run.zero);
  EXPECT_EQ(run.count, PageCount(2));
  run = FirstRun(all.subspan(2 * kPageSize));
  EXPECT_FALSE(run.zero);
  EXPECT_EQ(run.count, PageCount(1));
  run = FirstRun(all.subspan(3 * kPageSize));
  EXPECT_TRUE(run.zero);
  EXPECT_EQ(run.count, PageCount(2));
}

TEST(ZeroPagesTest, OneBitAnywhereMakesAPageData) {
  for (size_t at :
       {size_t{0}, size_t{7}, size_t{8}, size_t{2049}, size_t{kPageSize - 1}}) {
    std::vector<std::byte> page(kPageSize);
    page[at] = std::byte{0x80};
    EXPECT_FALSE(FirstRun(page).zero) << at;
  }
}

}  // namespace
}  // namespace pagelift
