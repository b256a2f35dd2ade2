#include "tests/stress/torture/shadow_page.h"

#include <array>
#include <cstring>

#include "gtest/gtest.h"

namespace pagelift::stress {
namespace {

using Contents = ShadowPage::Contents;

constexpr uint64_t kSeed = 7;

ShadowPage Patterned() {
  ShadowPage shadow;
  shadow.contents = Contents::kPattern;
  shadow.number = 3;
  shadow.generation = 2;
  return shadow;
}

std::array<std::byte, kPageBytes> PageOf(const ShadowPage& shadow) {
  std::array<std::byte, kPageBytes> page;
  shadow.Fill(kSeed, page.data());
  return page;
}

TEST(ShadowPageTest, OneWrongBitAnywhereIsSeen) {
  const ShadowPage shadow = Patterned();
  auto page = PageOf(shadow);
  EXPECT_FALSE(shadow.Check(kSeed, page.data()).has_value());
  for (size_t at : {size_t{0}, size_t{2049}, kPageBytes - 1}) {
    page[at] ^= std::byte{1};
    ASSERT_TRUE(shadow.Check(kSeed, page.data()).has_value());
    EXPECT_EQ(shadow.Check(kSeed, page.data())->offset, at / 8 * 8);
    page[at] ^= std::byte{1};
  }
}

TEST(ShadowPageTest, AnOlderGenerationOrAnotherPageIsWrong) {
  ShadowPage other = Patterned();
  other.generation = 1;
  EXPECT_TRUE(Patterned().Check(kSeed, PageOf(other).data()).has_value());
  other = Patterned();
  other.number = 4;
  EXPECT_TRUE(Patterned().Check(kSeed, PageOf(other).data()).has_value());
}

TEST(ShadowPageTest, APatchedWordMustBeThePatch) {
  ShadowPage shadow = Patterned();
  const auto before = PageOf(shadow);
  shadow.patched_word = 5;
  shadow.patch = 99;
  EXPECT_TRUE(shadow.Check(kSeed, before.data()).has_value());
  EXPECT_FALSE(shadow.Check(kSeed, PageOf(shadow).data()).has_value());
}

TEST(ShadowPageTest, FreedPagesMayBeZeroOrAsTheyWereButNothingElse) {
  ShadowPage shadow = Patterned();
  const auto as_it_was = PageOf(shadow);
  shadow.contents = Contents::kPatternOrZero;
  std::array<std::byte, kPageBytes> page = {};
  EXPECT_FALSE(shadow.Check(kSeed, as_it_was.data()).has_value());
  EXPECT_FALSE(shadow.Check(kSeed, page.data()).has_value());
  page[100] = std::byte{1};
  EXPECT_TRUE(shadow.Check(kSeed, page.data()).has_value());
}

TEST(ShadowPageTest, ZeroPagesMustBeZero) {
  ShadowPage shadow = Patterned();
  const auto as_it_was = PageOf(shadow);
  shadow.BecomeZero();
  EXPECT_TRUE(shadow.Check(kSeed, as_it_was.data()).has_value());
  EXPECT_FALSE(shadow.Check(kSeed, PageOf(shadow).data()).has_value());
}

TEST(ShadowPageTest, RemembersTheLatestOperationsOnce) {
  ShadowPage shadow;
  for (uint32_t operation = 1; operation <= 20; ++operation) {
    shadow.Note(operation);
    shadow.Note(operation);
  }
  EXPECT_EQ(shadow.history.back(), 20u);
  EXPECT_EQ(shadow.history.front(), 20u - ShadowPage::kHistory + 1);
}

}  // namespace
}  // namespace pagelift::stress
