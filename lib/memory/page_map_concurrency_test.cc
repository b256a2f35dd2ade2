// What may be done to a PageMap by many threads at once, done by many threads
// at once; tools/check tsan is the judge of the rest.

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/page_state.h"

namespace pagelift {
namespace {

constexpr uint64_t kExtents = 64;
constexpr uint64_t kPagesEach = 333;  // Extents begin in the middle of words.
constexpr uint64_t kStride = 400;
constexpr uint64_t kPages = kExtents * kPagesEach;
constexpr int kThreads = 4;

class PageMapConcurrencyTest : public ::testing::Test {
 protected:
  PageMapConcurrencyTest() : times_(kPages) {
    for (uint64_t i = 0; i < kExtents; ++i) {
      EXPECT_THAT(map_.Add({PageId(i * kStride), PageCount(kPagesEach)},
                           ImagePage(i * kPagesEach)),
                  IsOk());
    }
    // Blocks that are shared by several extents.
    for (uint64_t i = 0; i < kExtents; i += 2) {
      map_.Move(PageId(i * kStride + 100), PageId(i * kStride + 340),
                PageCount(50));
    }
  }

  template <typename Work>
  void RunInThreads(Work work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }

  void Count(const PageMap::Piece& piece) {
    for (uint64_t i = 0; i < piece.pages.count.raw(); ++i) {
      times_[piece.image.raw() + i].fetch_add(1, std::memory_order_relaxed);
    }
  }
  void ExpectEachPageCountedOnce() {
    for (uint64_t i = 0; i < kPages; ++i) {
      ASSERT_EQ(times_[i].load(), 1) << "image page " << i;
    }
  }

  PageMap map_;
  std::vector<std::atomic<int>> times_;
};

TEST_F(PageMapConcurrencyTest, EachPageIsClaimedByExactlyOneThread) {
  RunInThreads([&](int thread) {
    // From both ends, so that they meet.
    const PageCount most(static_cast<uint64_t>(3 + thread * 20));
    const PageRange all = PagesFrom(PageId(0));
    while (auto piece = thread % 2 == 0 ? map_.ClaimMissing(all, most)
                                        : map_.ClaimLastMissing(all, most)) {
      Count(*piece);
    }
  });
  ExpectEachPageCountedOnce();
  EXPECT_EQ(map_.counts().requested, PageCount(kPages));
}

TEST_F(PageMapConcurrencyTest, FaultsAndClaimsNeverRequestAPageTwice) {
  RunInThreads([&](int thread) {
    if (thread % 2 == 0) {
      while (auto piece =
                 map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(16))) {
        Count(*piece);
      }
      return;
    }
    for (uint64_t i = 0; i < kExtents * kStride; ++i) {
      PageId page(thread == 1 ? i : kExtents * kStride - 1 - i);
      if (map_.Transition(page, PageState::kMissing, PageState::kRequested)) {
        Count({{page, PageCount(1)}, map_.Find(page)->image});
      }
    }
  });
  ExpectEachPageCountedOnce();
  EXPECT_EQ(map_.counts().requested, PageCount(kPages));
  EXPECT_EQ(map_.counts().missing, PageCount(0));
}

// Half of what arrives is refused the first time and has to be found missing
// again by somebody, though all have looked there before.
TEST_F(PageMapConcurrencyTest,
       PagesThatAreGivenBackAreFoundUntilAllArePresent) {
  RunInThreads([&](int) {
    while (map_.counts().present < PageCount(kPages)) {
      auto piece = map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(64));
      if (!piece.has_value()) {
        std::this_thread::yield();
        continue;
      }
      map_.ForEachTarget(
          piece->image_range(), PageState::kRequested,
          [&](const PageMap::Piece& target) {
            for (uint64_t i = 0; i < target.pages.count.raw(); ++i) {
              PageId page = target.pages.first + PageCount(i);
              std::atomic<int>& times = times_[target.image.raw() + i];
              bool refused = i % 2 == 1 && times.fetch_add(1) == 0;
              EXPECT_TRUE(map_.Transition(
                  page, PageState::kRequested,
                  refused ? PageState::kMissing : PageState::kPresent));
            }
          });
    }
  });
  EXPECT_EQ(map_.ClaimMissing(PagesFrom(PageId(0)), PageCount(1)).has_value(),
            false);
  EXPECT_EQ(map_.counts().present, PageCount(kPages));
  EXPECT_EQ(map_.counts().total(), PageCount(kPages));
}

TEST_F(PageMapConcurrencyTest, RacingRangeTransitionsAddUpToEachPageOnce) {
  std::atomic<uint64_t> changed{0};
  RunInThreads([&](int thread) {
    uint64_t step = static_cast<uint64_t>(7 + thread);
    for (uint64_t i = 0; i < kExtents * kStride; i += step) {
      changed += map_.TransitionRange({PageId(i), PageCount(step * 2)},
                                      PageState::kMissing, PageState::kPresent)
                     .raw();
    }
  });
  EXPECT_EQ(changed.load(), kPages);
  EXPECT_EQ(map_.counts().present, PageCount(kPages));
}

}  // namespace
}  // namespace pagelift
