#include "lib/source/found_pages.h"

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kPages = 16;

ImageRange From(uint64_t first) {
  return ImageRange::Between(ImagePage(first), ImagePage(kPages));
}

class FoundPagesTest : public ::testing::Test {
 protected:
  FoundPages Find(uint64_t first, PageCount room = PageCount(kPages)) {
    return FindFirstPages(store_, From(first),
                          absl::MakeSpan(buffer_).first(room.bytes()));
  }

  void ExpectData(uint64_t first, uint64_t count) {
    const FoundPages found = Find(first);
    EXPECT_OK(found.lost);
    EXPECT_FALSE(found.zero);
    EXPECT_EQ(found.count, PageCount(count));
    ASSERT_EQ(found.bytes.size(), PageCount(count).bytes());
    EXPECT_TRUE(HoldsPattern(found.bytes.data(), ImagePage(first)));
  }

  void ExpectZero(uint64_t first, uint64_t count) {
    const FoundPages found = Find(first);
    EXPECT_OK(found.lost);
    EXPECT_TRUE(found.zero);
    EXPECT_EQ(found.count, PageCount(count));
    EXPECT_THAT(found.bytes, IsEmpty());
  }

  void ExpectLost(uint64_t first, uint64_t count, const char* why) {
    const FoundPages found = Find(first);
    EXPECT_THAT(found.lost,
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(why)));
    EXPECT_EQ(found.count, PageCount(count));
    EXPECT_THAT(found.bytes, IsEmpty());
  }

  std::vector<std::byte> buffer_ = std::vector<std::byte>(kPages * kPageSize);
  FakePageStore store_{OneTaskImage(7, {PageId(0x1000), PageCount(kPages)})};
};

TEST_F(FoundPagesTest, DataIsNoMoreThanTheRoomAndNotAskedAbout) {
  ExpectData(0, kPages);
  EXPECT_EQ(Find(3, PageCount(4)).count, PageCount(4));
  EXPECT_EQ(store_.checks(), 0);
}

TEST_F(FoundPagesTest, ARunOfZerosIsAskedAboutOnce) {
  store_.MakeZero({ImagePage(2), PageCount(5)});
  ExpectData(0, 2);
  ExpectZero(2, 5);
  EXPECT_EQ(store_.checks(), 1);
  ExpectData(7, 9);
}

TEST_F(FoundPagesTest, ZerosMayBeMoreThanTheRoom) {
  store_.MakeZero({ImagePage(1), PageCount(9)});
  for (uint64_t room : {1, 2, 3, 4, 9, 16}) {
    const FoundPages found = Find(1, PageCount(room));
    EXPECT_OK(found.lost);
    EXPECT_TRUE(found.zero);
    EXPECT_EQ(found.count, PageCount(9)) << room;
  }
  store_.Lose({ImagePage(6), PageCount(1)});
  EXPECT_EQ(Find(1, PageCount(2)).count, PageCount(5));
}

TEST_F(FoundPagesTest, AHoleAmongZerosIsLostAndTheyAreNot) {
  store_.MakeZero({ImagePage(2), PageCount(10)});
  store_.PunchHole({ImagePage(5), PageCount(3)});
  ExpectData(0, 2);
  ExpectZero(2, 3);
  ExpectLost(5, 3, "hole");
  ExpectLost(7, 1, "hole");
  ExpectZero(8, 4);
}

TEST_F(FoundPagesTest, HolesAtBothEndsAndBesideData) {
  store_.PunchHole({ImagePage(0), PageCount(1)});
  store_.PunchHole({ImagePage(kPages - 2), PageCount(2)});
  ExpectLost(0, 1, "hole");
  ExpectData(1, kPages - 3);
  ExpectLost(kPages - 2, 2, "hole");
}

TEST_F(FoundPagesTest, WhatIsTruncatedIsLostPageByPage) {
  store_.TruncateAt(ImagePage(8));
  ExpectData(0, 8);
  ExpectLost(8, 1, "truncated");
  ExpectLost(kPages - 1, 1, "truncated");
}

TEST_F(FoundPagesTest, WhatTheStoreLostIsLost) {
  store_.Lose({ImagePage(1), PageCount(1)});
  ExpectData(0, 1);
  ExpectLost(1, 1, "lost");
}

}  // namespace
}  // namespace pagelift
