#include "lib/image/memory_layout.h"

#include "criu/mm.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kAnonymous = 0x22;
constexpr uint32_t kPlain = 0x201;
constexpr uint32_t kGuard = 0x10000;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class MemoryLayoutTest : public ::testing::Test {
 protected:
  void Add(PageRange pages, uint32_t flags, uint32_t status) {
    criu::Mapping* mapping = map_.add_mappings();
    mapping->set_start(AddressOf(pages.first));
    mapping->set_limit(AddressOf(pages.limit()));
    mapping->set_flags(flags);
    mapping->set_status(status);
  }

  absl::StatusOr<MemoryLayout> Decode() const {
    return DecodeMemoryLayout("mm-7.img",
                              ImageMagic(ImageKind::kMemory) +
                                  FramedRecord(map_.SerializeAsString()));
  }

  criu::MemoryMap map_;
};

TEST_F(MemoryLayoutTest, PrivateAnonymousMappingsAreLazy) {
  Add(Pages(16, 4), kAnonymous, 0x221);  // The heap.
  Add(Pages(20, 4), kAnonymous, kPlain);
  Add(Pages(30, 4), 0x122, kPlain);     // The stack grows down.
  Add(Pages(40, 4), kAnonymous, 0x41);  // What is left of a file mapping.
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_THAT(layout.lazy_regions(), ElementsAre(Pages(16, 4), Pages(20, 4),
                                                 Pages(30, 4), Pages(40, 4)));
  EXPECT_EQ(layout.mapping_count(), 4u);
}

TEST_F(MemoryLayoutTest, OtherMappingsAreNot) {
  Add(Pages(10, 1), 0x2, 0x41);           // File, private.
  Add(Pages(11, 1), 0x1, 0x4081);         // Shared.
  Add(Pages(12, 1), 0x2022, kPlain);      // Locked.
  Add(Pages(13, 1), 0x40022, kPlain);     // Huge pages.
  Add(Pages(14, 1), kAnonymous, 0x1201);  // vvar
  Add(Pages(15, 1), kAnonymous, 0x209);   // vdso
  Add(Pages(16, 1), kAnonymous, 0x200);   // Not regular.
  Add(Pages(17, 1), kAnonymous, 0x1);     // Of no private kind.
  Add(PagesOf(0xffffffffff600000, 0xffffffffff601000), kAnonymous, 0x204);
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_THAT(layout.lazy_regions(), IsEmpty());
  EXPECT_EQ(layout.mapping_count(), 9u);
}

TEST_F(MemoryLayoutTest, GuardsAreCutOut) {
  Add(Pages(10, 10), kAnonymous, kPlain);
  Add(Pages(20, 10), kAnonymous, kPlain);
  Add(Pages(25, 1), kAnonymous, kGuard);
  Add(Pages(10, 2), kAnonymous, kGuard);
  Add(Pages(18, 4), kAnonymous, kGuard);
  Add(Pages(27, 3), kAnonymous, kGuard);
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_THAT(layout.lazy_regions(),
              ElementsAre(Pages(12, 6), Pages(22, 3), Pages(26, 1)));
  EXPECT_EQ(layout.mapping_count(), 2u);
  // They are registered all the same.
  EXPECT_EQ(layout.FirstNotRegistered(Pages(10, 20)), std::nullopt);
}

TEST_F(MemoryLayoutTest, CutsRangesAtRegionBorders) {
  Add(Pages(10, 4), kAnonymous, kPlain);
  Add(Pages(14, 4), kAnonymous, kPlain);
  Add(Pages(20, 4), kAnonymous, kPlain);
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_THAT(layout.InLazyRegions(Pages(12, 10)),
              ElementsAre(Pages(12, 2), Pages(14, 4), Pages(20, 2)));
  EXPECT_THAT(layout.InLazyRegions(Pages(18, 2)), IsEmpty());
}

TEST_F(MemoryLayoutTest, FindsTheFirstPageThatIsNotRegistered) {
  Add(Pages(10, 4), kAnonymous, kPlain);
  Add(Pages(14, 4), kAnonymous, kPlain);
  Add(Pages(18, 1), 0x2, 0x41);
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_EQ(layout.FirstNotRegistered(Pages(11, 7)), std::nullopt);
  EXPECT_EQ(layout.FirstNotRegistered(Pages(11, 8)), PageId(18));
  EXPECT_EQ(layout.FirstNotRegistered(Pages(9, 4)), PageId(9));
  EXPECT_EQ(layout.FirstNotRegistered(Pages(100, 1)), PageId(100));
}

TEST_F(MemoryLayoutTest, FindsTheFirstPageThatIsNotMapped) {
  Add(Pages(10, 4), kAnonymous, kPlain);
  Add(Pages(14, 4), 0x2, 0x41);
  ASSERT_OK_AND_ASSIGN(MemoryLayout layout, Decode());
  EXPECT_EQ(layout.FirstNotMapped(Pages(10, 8)), std::nullopt);
  EXPECT_EQ(layout.FirstNotMapped(Pages(10, 9)), PageId(18));
  EXPECT_EQ(layout.FirstNotMapped(Pages(9, 1)), PageId(9));
}

TEST_F(MemoryLayoutTest, RefusesMappingsOutOfOrder) {
  Add(Pages(20, 4), kAnonymous, kPlain);
  Add(Pages(10, 4), kAnonymous, kPlain);
  EXPECT_THAT(Decode(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("out of order")));
}

TEST_F(MemoryLayoutTest, RefusesOverlappingGuards) {
  Add(Pages(10, 10), kAnonymous, kPlain);
  Add(Pages(12, 4), kAnonymous, kGuard);
  Add(Pages(13, 1), kAnonymous, kGuard);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr("overlapping guards")));
}

TEST_F(MemoryLayoutTest, RefusesImpossibleMappings) {
  Add(Pages(20, 4), kAnonymous, kPlain);
  criu::Mapping* mapping = map_.mutable_mappings(0);
  mapping->set_limit(mapping->start());
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr("impossible mapping")));
  mapping->set_limit(mapping->start() + 1);
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
  mapping->clear_limit();
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace pagelift
