#include "lib/image/robust_list.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr uint64_t kHead = 0x1000;

// What is in memory, by address.
using Memory = std::map<uint64_t, uint64_t>;

std::vector<uint64_t> Words(const Memory& memory) {
  return WordsOfRobustList(kHead,
                           [&](uint64_t address) -> std::optional<uint64_t> {
                             auto found = memory.find(address);
                             if (found == memory.end()) return std::nullopt;
                             return found->second;
                           });
}

TEST(RobustListTest, AnEmptyListPointsToItself) {
  EXPECT_THAT(Words({{kHead, kHead}, {kHead + 8, 0}, {kHead + 16, 0}}),
              ElementsAre(kHead, kHead + 8, kHead + 16));
}

TEST(RobustListTest, EveryEntryHasAFutexAtADistance) {
  const auto minus_32 = static_cast<uint64_t>(-32);
  EXPECT_THAT(Words({{kHead, 0x5020},
                     {kHead + 8, minus_32},
                     {kHead + 16, 0},
                     {0x5020, 0x9021},  // Of another kind.
                     {0x9020, kHead}}),
              ElementsAre(kHead, kHead + 8, kHead + 16, 0x5020, 0x5000, 0x9020,
                          0x9000));
}

TEST(RobustListTest, AnEntryThatIsBeingEnteredCountsToo) {
  EXPECT_THAT(Words({{kHead, kHead}, {kHead + 8, 8}, {kHead + 16, 0x7000}}),
              ElementsAre(kHead, kHead + 8, kHead + 16, 0x7000, 0x7008));
}

TEST(RobustListTest, WhereNothingIsKnownTheWalkEnds) {
  EXPECT_THAT(Words({}), SizeIs(3));
  EXPECT_THAT(Words({{kHead, 0x5000}, {kHead + 8, 0}}), SizeIs(5));
}

TEST(RobustListTest, ACircleEnds) {
  EXPECT_THAT(Words({{kHead, 0x5000}, {kHead + 8, 0}, {0x5000, 0x5000}}),
              SizeIs(3 + 2 * 2048));
}

}  // namespace
}  // namespace pagelift
