#include "daemon/pager/layout/space_layout.h"

#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/range_set.h"

namespace pagelift {
namespace {

using Kind = LayoutOp::Kind;
using Set = LayoutOp::Set;

constexpr uint64_t kPages = 256;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class KeptLog : public LayoutLog {
 public:
  void Append(const LayoutOp& op) override { ops.push_back(op); }
  std::vector<LayoutOp> ops;
};

SpaceLayout Rebuilt(const std::vector<LayoutOp>& ops) {
  SpaceLayout layout;
  for (const LayoutOp& op : ops) EXPECT_OK(layout.Apply(op));
  return layout;
}

SpaceLayout TwoExtents() {
  PageMap map;
  EXPECT_OK(map.Add(Pages(100, 50), ImagePage(0)));
  EXPECT_OK(map.Add(Pages(200, 50), ImagePage(50)));
  RangeSet regions;
  regions.Insert(Pages(90, 200));
  return SpaceLayout(std::move(map), std::move(regions));
}

TEST(SpaceLayoutTest, TheOpsThatTellOfItLeadToTheSame) {
  SpaceLayout layout = TwoExtents();
  layout.Erase(Pages(110, 5));
  layout.Move(Pages(200, 20), PageId(1000));
  layout.Insert(Set::kVacated, Pages(200, 20));
  layout.RememberMove({Pages(1000, 20), PageId(990)});
  layout.Disregard({PageId(7), Pages(8, 2)});
  EXPECT_EQ(layout.Lose({ImagePage(60), PageCount(4)}), PageCount(4));
  const SpaceLayout rebuilt = Rebuilt(OpsOf(layout));
  EXPECT_TRUE(OpsOf(rebuilt) == OpsOf(layout));
  EXPECT_EQ(rebuilt.map().Find(PageId(1010))->state, PageState::kLost);
  EXPECT_EQ(rebuilt.map().Find(PageId(1014))->image, ImagePage(64));
  EXPECT_FALSE(rebuilt.map().Find(PageId(112)).has_value());
  EXPECT_TRUE(rebuilt.has_recent_moves());
}

TEST(SpaceLayoutTest, AChildHasNothingOfWhatIsRememberedOfMoves) {
  SpaceLayout layout = TwoExtents();
  layout.Move(Pages(100, 10), PageId(100) + SpaceLayout::kAside);
  layout.Insert(Set::kDisplaced, Pages(100, 10));
  layout.RememberMove({Pages(1000, 20), PageId(990)});
  const SpaceLayout child = layout.Fork();
  EXPECT_FALSE(child.has_recent_moves());
  EXPECT_EQ(child.map().counts().total(), PageCount(90));
  EXPECT_EQ(child.set(Set::kRegions).size(), PageCount(200));
}

TEST(SpaceLayoutTest, OnlySoManyMovesAreRemembered) {
  SpaceLayout layout;
  for (uint64_t i = 0; i < 300; ++i) {
    layout.RememberMove({Pages(10 * i, 1), PageId(10 * i)});
  }
  ASSERT_EQ(layout.moved_in().size(), 256u);
  EXPECT_EQ(layout.moved_in().front().mapping, PageId(440));
}

TEST(SpaceLayoutTest, WhatMakesNoSenseIsRefusedAndNotLogged) {
  SpaceLayout layout = TwoExtents();
  KeptLog log;
  layout.LogTo(&log);
  const uint64_t far = ~uint64_t{0};
  for (const LayoutOp& op : {
           LayoutOp{Kind::kExtent, Set::kRegions, 120, 10, 500},
           LayoutOp{Kind::kErase, Set::kRegions, far, 2, 0},
           LayoutOp{Kind::kInsert, static_cast<Set>(LayoutOp::kSets), 1, 1, 0},
           LayoutOp{static_cast<Kind>(0), Set::kRegions, 1, 1, 0},
           LayoutOp{static_cast<Kind>(99), Set::kRegions, 1, 1, 0},
       }) {
    EXPECT_EQ(layout.Apply(op).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(log.ops.empty());
  EXPECT_TRUE(OpsOf(layout) == OpsOf(TwoExtents()));
}

// Whatever is done: what was logged from the start, and what is told of the
// end, both lead to the same layout.
TEST(SpaceLayoutTest, ItsLogLeadsToTheSame) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    auto below = [&random](uint64_t limit) { return random() % limit; };
    auto some = [&] { return Pages(below(kPages), 1 + below(20)); };
    KeptLog log;
    SpaceLayout layout;
    layout.LogTo(&log);
    ASSERT_OK(layout.Apply({Kind::kExtent, Set::kRegions, 20, 100, 0}));
    ASSERT_OK(layout.Apply({Kind::kExtent, Set::kRegions, 140, 60, 100}));
    for (int i = 0; i < 60; ++i) {
      const Set set = static_cast<Set>(below(LayoutOp::kSets));
      switch (below(12)) {
        case 0:
        case 1:
          layout.Erase(some());
          break;
        case 2:
        case 3:
          layout.Move(some(), PageId(below(kPages)));
          break;
        case 4:
          layout.Lose({ImagePage(below(160)), PageCount(1 + below(5))});
          break;
        case 5:
        case 6:
          layout.Insert(set, some());
          break;
        case 7:
          layout.Remove(set, some());
          break;
        case 8:
          layout.RememberMove({some(), PageId(below(kPages))});
          break;
        case 9:
          layout.ForgetMovesIn(some());
          break;
        case 10:
          layout.Disregard({PageId(below(8)), some()});
          layout.ForgetDisregardedFrom(PageId(below(8)));
          break;
        case 11:
          if (below(8) == 0) {
            layout.Clear(set);
            layout.ForgetMoves();
            layout.ForgetDisregarded();
          }
          layout.ForgetDisregardedIn(some());
          break;
      }
    }
    const std::vector<LayoutOp> ops = OpsOf(layout);
    ASSERT_TRUE(OpsOf(Rebuilt(log.ops)) == ops) << "seed " << seed;
    ASSERT_TRUE(OpsOf(Rebuilt(ops)) == ops) << "seed " << seed;
    EXPECT_EQ(Rebuilt(ops).has_recent_moves(), layout.has_recent_moves());
  }
}

}  // namespace
}  // namespace pagelift
