#include "lib/process/wiped_memory.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A mapping of pages [first, limit) with such flags.
std::string Smaps(uint64_t first, uint64_t limit, const std::string& flags) {
  return absl::StrCat(absl::Hex(first << kPageShift), "-",
                      absl::Hex(limit << kPageShift),
                      " rw-p 00000000 00:00 0 \nVmFlags: rd wr ", flags, "\n");
}

RegisteredRanges Mappings(const std::string& smaps) {
  absl::StatusOr<RegisteredRanges> parsed = RegisteredRanges::Parse(smaps);
  EXPECT_OK(parsed.status());
  return *std::move(parsed);
}

std::optional<bool> NobodyKnows(PageRange) { return std::nullopt; }

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

TEST(WipedMemoryTest, WhatBothHaveMarkedIsWiped) {
  const std::string smaps =
      Smaps(1, 4, "um") + Smaps(4, 6, "um wf") + Smaps(8, 9, "wf");
  EXPECT_THAT(WipedByFork(Mappings(smaps), Mappings(smaps), NobodyKnows),
              ElementsAre(Pages(4, 6)));
}

TEST(WipedMemoryTest, AChildThatMarksItsMemoryLaterHasLostNothing) {
  EXPECT_THAT(WipedByFork(Mappings(Smaps(1, 4, "um")),
                          Mappings(Smaps(1, 4, "um wf")), NobodyKnows),
              IsEmpty());
}

TEST(WipedMemoryTest, AParentThatHasUnmappedItSinceProvesNothing) {
  EXPECT_THAT(WipedByFork(Mappings(Smaps(9, 10, "um")),
                          Mappings(Smaps(1, 4, "um wf")), NobodyKnows),
              ElementsAre(Pages(1, 4)));
  // Something else is there by now.
  EXPECT_THAT(WipedByFork(Mappings(Smaps(1, 4, "ac")),
                          Mappings(Smaps(1, 4, "um wf")), NobodyKnows),
              ElementsAre(Pages(1, 4)));
}

TEST(WipedMemoryTest, AParentThatMarksItsMemoryLaterTakesNothingAway) {
  EXPECT_THAT(WipedByFork(Mappings(Smaps(1, 4, "um wf")),
                          Mappings(Smaps(1, 4, "um")), NobodyKnows),
              IsEmpty());
}

TEST(WipedMemoryTest, PagesThatWereCopiedDecide) {
  const RegisteredRanges marked = Mappings(Smaps(1, 4, "um wf"));
  const RegisteredRanges unmarked = Mappings(Smaps(1, 4, "um"));
  const auto copied = [](PageRange) { return std::optional<bool>(true); };
  const auto missing = [](PageRange) { return std::optional<bool>(false); };
  EXPECT_THAT(WipedByFork(marked, unmarked, copied), IsEmpty());
  EXPECT_THAT(WipedByFork(unmarked, marked, copied), IsEmpty());
  EXPECT_THAT(WipedByFork(marked, unmarked, missing), ElementsAre(Pages(1, 4)));
  EXPECT_THAT(WipedByFork(unmarked, marked, missing), ElementsAre(Pages(1, 4)));
}

TEST(WipedMemoryTest, OnlyThePartThatBothHaveMarked) {
  EXPECT_THAT(WipedByFork(Mappings(Smaps(1, 4, "um wf")),
                          Mappings(Smaps(1, 3, "um") + Smaps(3, 4, "um wf")),
                          NobodyKnows),
              ElementsAre(Pages(3, 4)));
}

TEST(LeftOutMemoryTest, WhatTheParentHasMarkedAndTheChildDoesNotHave) {
  const RegisteredRanges parent =
      Mappings(Smaps(1, 4, "um") + Smaps(4, 8, "um dc") + Smaps(8, 9, "um"));
  EXPECT_THAT(
      LeftOutByFork(parent, Mappings(Smaps(1, 4, "um") + Smaps(8, 9, "um")),
                    NobodyKnows),
      ElementsAre(Pages(4, 8)));
}

TEST(LeftOutMemoryTest, AChildThatGrowsOverItHasNotInheritedIt) {
  const RegisteredRanges parent =
      Mappings(Smaps(1, 4, "um") + Smaps(4, 8, "um dc"));
  EXPECT_THAT(LeftOutByFork(parent, Mappings(Smaps(1, 6, "um")), NobodyKnows),
              ElementsAre(Pages(4, 8)));
  // Over all of it: then the pages tell.
  EXPECT_THAT(LeftOutByFork(parent, Mappings(Smaps(1, 8, "um")),
                            [](PageRange range) {
                              EXPECT_EQ(range, Pages(4, 8));
                              return std::optional<bool>(false);
                            }),
              ElementsAre(Pages(4, 8)));
}

TEST(LeftOutMemoryTest, AParentThatMarksItsMemoryLaterTakesNothingAway) {
  const RegisteredRanges parent =
      Mappings(Smaps(1, 4, "um") + Smaps(4, 8, "um dc"));
  const RegisteredRanges child = Mappings(Smaps(1, 8, "um"));
  EXPECT_THAT(LeftOutByFork(parent, child, NobodyKnows), IsEmpty());
  EXPECT_THAT(
      LeftOutByFork(parent, child,
                    [](PageRange) { return std::optional<bool>(true); }),
      IsEmpty());
}

}  // namespace
}  // namespace pagelift
