#include "lib/source/page_digests.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/xxh3.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// More than is asked for at once.
constexpr PageCount kPages{20000};

std::unique_ptr<FakePageSource> Source() {
  return std::make_unique<FakePageSource>(OneTaskImage(1, {PageId(0), kPages}));
}

absl::StatusOr<PageDigests> Digest(PageSource& source) {
  return DigestPages(source, [](PageCount, const std::string&) {});
}

TEST(PageDigestsTest, EveryPageHasItsOwn) {
  ASSERT_OK_AND_ASSIGN(PageDigests digests, Digest(*Source()));
  ASSERT_EQ(digests.pages.size(), kPages.raw());
  EXPECT_THAT(digests.lost, IsEmpty());
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    const PageBytes bytes = PatternOf(ImagePage(i));
    Xxh3 hash;
    hash.Add(ByteSpan(bytes));
    ASSERT_EQ(digests.pages[i], hash.Get()) << i;
  }
}

TEST(PageDigestsTest, HowPagesComeDoesNotMatter) {
  ASSERT_OK_AND_ASSIGN(const PageDigests whole, Digest(*Source()));
  auto source = Source();
  source->LimitBatches(PageCount(3));
  source->CutPiecesAt(1000);
  ASSERT_OK_AND_ASSIGN(const PageDigests in_pieces, Digest(*source));
  EXPECT_EQ(in_pieces.pages, whole.pages);
  EXPECT_EQ(in_pieces.OfAll(), whole.OfAll());
}

TEST(PageDigestsTest, OnePageThatIsAnotherIsSeen) {
  ASSERT_OK_AND_ASSIGN(const PageDigests whole, Digest(*Source()));
  auto source = Source();
  source->MakeZero({ImagePage(19999), PageCount(1)});
  ASSERT_OK_AND_ASSIGN(const PageDigests other, Digest(*source));
  EXPECT_EQ(other.zero, PageCount(1));
  EXPECT_NE(other.OfAll(), whole.OfAll());
  EXPECT_NE(other.pages[19999], whole.pages[19999]);
  EXPECT_EQ(other.pages[19998], whole.pages[19998]);
}

TEST(PageDigestsTest, LostPagesAreNamed) {
  auto source = Source();
  source->FailFrom(ImagePage(19998), absl::DataLossError("truncated"));
  ASSERT_OK_AND_ASSIGN(const PageDigests digests, Digest(*source));
  EXPECT_THAT(digests.lost, ElementsAre(ImagePage(19998), ImagePage(19999)));
  EXPECT_EQ(digests.why_lost, "truncated");
}

TEST(PageDigestsTest, ASourceThatIsGoneIsAnError) {
  auto source = Source();
  source->BeGone();
  EXPECT_FALSE(Digest(*source).ok());
}

}  // namespace
}  // namespace pagelift
