#include "lib/process/mapping_line.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(MappingLineTest, HasItsParts) {
  const std::optional<MappingLine> line = ParseMappingLine(
      "7f0000000000-7f0000003000 r-xp 00001000 08:01 77       /lib/a b.so");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->pages, PagesOf(0x7f0000000000, 0x7f0000003000));
  EXPECT_EQ(line->permissions, "r-xp");
  EXPECT_EQ(line->device, "08:01");
  EXPECT_EQ(line->inode, "77");
  EXPECT_EQ(line->name, "/lib/a b.so");
}

TEST(MappingLineTest, MemoryOfNoFileHasNoName) {
  const std::optional<MappingLine> line =
      ParseMappingLine("1000-2000 rw-p 00000000 00:00 0 ");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->device, "00:00");
  EXPECT_EQ(line->inode, "0");
  EXPECT_EQ(line->name, "");
}

TEST(MappingLineTest, OtherLinesAreNone) {
  for (const char* line :
       {"", "Rss:                 12 kB", "VmFlags: rd wr ",
        "2000-1000 rw-p 00000000 00:00 0 ", "1001-2000 rw-p 00000000 00:00 0 ",
        "1000- rw-p 00000000 00:00 0 "}) {
    EXPECT_FALSE(ParseMappedPages(line).has_value()) << line;
    EXPECT_FALSE(ParseMappingLine(line).has_value()) << line;
  }
  EXPECT_TRUE(ParseMappedPages("1000-2000 rw").has_value());
  EXPECT_FALSE(ParseMappingLine("1000-2000 rw").has_value());
}

}  // namespace
}  // namespace pagelift
