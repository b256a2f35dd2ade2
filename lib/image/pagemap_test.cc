#include "lib/image/pagemap.h"

#include "criu/pagemap.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

class PagemapTest : public ::testing::Test {
 protected:
  // Adds an entry as CRIU 4.2 writes it.
  criu::PagemapEntry& Add(uint64_t address, uint64_t count, uint32_t flags) {
    criu::PagemapEntry entry;
    entry.set_address(address);
    entry.set_old_page_count(0);
    entry.set_flags(flags);
    entry.set_page_count(count);
    entries_.push_back(entry);
    return entries_.back();
  }

  absl::StatusOr<Pagemap> Decode() const {
    std::string contents = ImageMagic(ImageKind::kPagemap) +
                           FramedRecord(head_.SerializeAsString());
    for (const criu::PagemapEntry& entry : entries_) {
      contents += FramedRecord(entry.SerializeAsString());
    }
    return DecodePagemap("pagemap-7.img", contents);
  }

  PagemapTest() { head_.set_pages_id(3); }

  criu::PagemapHead head_;
  std::vector<criu::PagemapEntry> entries_;
};

TEST_F(PagemapTest, OffsetsCountPresentPagesOnly) {
  Add(0x10000, 2, 4);
  Add(0x20000, 5, 2);
  Add(0x30000, 7, 1);
  Add(0x40000, 3, 6);
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_EQ(pagemap.pages_id, 3u);
  EXPECT_EQ(pagemap.present_pages, PageCount(5));
  EXPECT_TRUE(pagemap.has_parent_pages);
  ASSERT_EQ(pagemap.entries.size(), 4u);
  EXPECT_EQ(pagemap.entries[3].offset, PageCount(2));
  EXPECT_EQ(pagemap.entries[3].pages, PagesOf(0x40000, 0x43000));
  EXPECT_TRUE(pagemap.entries[3].flags.lazy);
  EXPECT_TRUE(pagemap.entries[3].flags.present);
  EXPECT_TRUE(pagemap.entries[2].flags.in_parent);
  EXPECT_FALSE(pagemap.entries[1].flags.present);
}

TEST_F(PagemapTest, ReadsTheCountsOfCriu41) {
  criu::PagemapEntry& entry = Add(0x10000, 0, 6);
  entry.clear_page_count();
  entry.set_old_page_count(9);
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_EQ(pagemap.entries[0].pages.count, PageCount(9));
}

TEST_F(PagemapTest, TheNewCountCountsIfThereAreBoth) {
  Add(0x10000, 5, 6).set_old_page_count(9);
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_EQ(pagemap.entries[0].pages.count, PageCount(5));
}

TEST_F(PagemapTest, CountsBeyondThirtyTwoBitsSurvive) {
  Add(0x10000, uint64_t{1} << 33, 2);
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_EQ(pagemap.entries[0].pages.count, PageCount(uint64_t{1} << 33));
}

TEST_F(PagemapTest, EntriesWithoutFlagsArePresent) {
  Add(0x10000, 1, 0).clear_flags();
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_TRUE(pagemap.entries[0].flags.present);
  EXPECT_FALSE(pagemap.entries[0].flags.lazy);
}

TEST_F(PagemapTest, TheOldFieldForInParentCounts) {
  criu::PagemapEntry& entry = Add(0x10000, 1, 0);
  entry.clear_flags();
  entry.set_in_parent(true);
  ASSERT_OK_AND_ASSIGN(Pagemap pagemap, Decode());
  EXPECT_TRUE(pagemap.entries[0].flags.in_parent);
  EXPECT_FALSE(pagemap.entries[0].flags.present);
  EXPECT_EQ(pagemap.present_pages, PageCount(0));
}

TEST_F(PagemapTest, RefusesFlagsWithoutAMeaning) {
  for (uint32_t flags : {0u, 5u, 7u, 8u, 14u}) {
    entries_.clear();
    Add(0x10000, 1, flags);
    EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss,
                                   HasSubstr("address 0x10000")))
        << flags;
  }
}

TEST_F(PagemapTest, RefusesEntriesOutOfOrderOrOverlapping) {
  Add(0x10000, 4, 6);
  Add(0x13000, 1, 6);
  EXPECT_THAT(Decode(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("out of order")));
  entries_[1].set_address(0xf000);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(PagemapTest, RefusesImpossibleRanges) {
  Add(0x10000, 0, 6);
  EXPECT_THAT(Decode(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("impossible")));
  entries_[0].set_page_count(~uint64_t{0});
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
  entries_[0].set_page_count(1);
  entries_[0].set_address(0x10001);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
  entries_[0].set_address(~uint64_t{0xfff});
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
  entries_[0].clear_address();
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(PagemapTest, RefusesFieldsOfANewerCriu) {
  Add(0x10000, 1, 6).mutable_unknown_fields()->AddVarint(6, 1000);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kUnimplemented,
                                 HasSubstr("compressed")));
  entries_.clear();
  head_.mutable_unknown_fields()->AddVarint(2, 1);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(PagemapTest, RefusesAMissingHead) {
  EXPECT_THAT(DecodePagemap("f", ImageMagic(ImageKind::kPagemap)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no head")));
  head_.clear_pages_id();
  EXPECT_THAT(Decode(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no pages id")));
}

}  // namespace
}  // namespace pagelift
