// The promise that a map takes at most 0.02 % of the memory it tracks.

#include <cstdint>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/page_state.h"

namespace pagelift {
namespace {

// Runs of 1 MiB each with gaps between them.
constexpr PageCount kPagesEach(256);
constexpr uint64_t kStride = 700;

PageRange RunOf(uint64_t n) { return {PageId(n * kStride), kPagesEach}; }

void Add(PageMap& map, uint64_t n, uint64_t image_run) {
  absl::Status added =
      map.Add(RunOf(n), ImagePage(image_run * kPagesEach.raw()));
  ASSERT_TRUE(added.ok()) << added;
}

double PercentOfTracked(const PageMap& map) {
  return 100 * static_cast<double>(map.MemoryUsage()) /
         static_cast<double>(map.counts().total().bytes());
}

TEST(PageMapMemoryTest, AMillionExtentsOfOneTebibyteAreSmall) {
  constexpr uint64_t kExtents = uint64_t{1} << 20;
  PageMap map;
  for (uint64_t i = 0; i < kExtents; ++i) Add(map, i, i);
  EXPECT_EQ(map.extent_count(), kExtents);
  EXPECT_EQ(map.counts().total().bytes(), uint64_t{1} << 40);
  EXPECT_LE(PercentOfTracked(map), 0.02);
}

// Nodes are as empty as random order leaves them, and every other extent is
// done and known to be: the worst for what claiming remembers.
TEST(PageMapMemoryTest, ExtentsInNoOrderAndHalfDoneAreSmall) {
  constexpr uint64_t kExtents = uint64_t{1} << 16;
  PageMap map;
  // An odd factor: every number once.
  for (uint64_t i = 0; i < kExtents; ++i) Add(map, i * 40503 % kExtents, i);
  EXPECT_LE(PercentOfTracked(map), 0.02);
  for (uint64_t i = 0; i < kExtents; i += 2) {
    map.TransitionRange(RunOf(i), PageState::kMissing, PageState::kPresent);
    map.ClaimMissing(PagesFrom(RunOf(i).first), PageCount(1));
  }
  EXPECT_LE(PercentOfTracked(map), 0.02);
}

TEST(PageMapMemoryTest, ChildrenAreNoBigger) {
  constexpr uint64_t kExtents = uint64_t{1} << 16;
  PageMap map;
  for (uint64_t i = 0; i < kExtents; ++i) Add(map, i, i);
  EXPECT_LE(map.Fork().MemoryUsage(), map.MemoryUsage());
}

}  // namespace
}  // namespace pagelift
