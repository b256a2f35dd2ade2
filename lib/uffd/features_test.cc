#include "lib/uffd/features.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(FeatureSetTest, UsesTheBitNumbersOfTheKernel) {
  EXPECT_EQ(FeatureSet(Feature::kEventFork).bits(), 0x2u);
  EXPECT_EQ(kLayoutEvents.bits(), 0x4eu);
  EXPECT_EQ(FeatureSet(Feature::kMove).bits(), 0x10000u);
}

TEST(FeatureSetTest, DifferenceIsWhatOneLacks) {
  const FeatureSet wanted = kLayoutEvents | Feature::kPoison;
  const FeatureSet available =
      Feature::kEventRemap | Feature::kEventRemove | Feature::kEventUnmap;
  EXPECT_FALSE(available.HasAll(wanted));
  EXPECT_EQ(ToString(wanted - available), "EVENT_FORK, POISON");
  EXPECT_TRUE((available - wanted).empty());
}

TEST(FeatureSetTest, PrintsWhatHasNoNameByItsNumber) {
  EXPECT_EQ(ToString(FeatureSet()), "none");
  EXPECT_EQ(ToString(FeatureSet::FromBits(uint64_t{1} << 40)), "bit 40");
}

TEST(FeatureSetTest, EmptySetIsPartOfEverySet) {
  EXPECT_TRUE(FeatureSet().HasAll(FeatureSet()));
  EXPECT_TRUE(kLayoutEvents.HasAll(FeatureSet()));
  EXPECT_FALSE(FeatureSet().Has(Feature::kPoison));
}

}  // namespace
}  // namespace pagelift
