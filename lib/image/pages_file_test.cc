#include "lib/image/pages_file.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class PagesFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<PagesFile> Open(uint64_t pages) {
    auto directory = ImageDirectory::Open(dir_.path());
    if (!directory.ok()) return directory.status();
    return PagesFile::Open(*directory, 3, PageCount(pages));
  }

  void Write(const std::string& contents) {
    WriteFile(dir_.Join("pages-3.img"), contents);
  }

  TempDir dir_;
};

std::string Page(char c) { return std::string(kPageSize, c); }

TEST_F(PagesFileTest, HandsOutPagesByTheirPlace) {
  Write(Page('a') + Page('b') + Page('b') + Page('c'));
  ASSERT_OK_AND_ASSIGN(PagesFile file, Open(4));
  PagesFile moved = std::move(file);
  auto pages = moved.Pages(PageCount(1), PageCount(2));
  EXPECT_THAT(pages, SizeIs(2 * kPageSize));
  EXPECT_THAT(pages, Each(std::byte{'b'}));
}

TEST_F(PagesFileTest, RefusesAFileThatIsTooShort) {
  Write(Page('a'));
  EXPECT_THAT(Open(2), StatusIs(absl::StatusCode::kDataLoss,
                                HasSubstr("has 4096 bytes, but its pagemap "
                                          "describes 2 pages, 8192 bytes")));
}

TEST_F(PagesFileTest, RefusesAFileThatIsTooLong) {
  Write(Page('a') + "b");
  EXPECT_THAT(Open(1), StatusIs(absl::StatusCode::kDataLoss,
                                HasSubstr("belongs to another checkpoint")));
}

TEST_F(PagesFileTest, RefusesAHole) {
  Write(Page('a'));
  // Written past the end: the second page is not there.
  std::ofstream file(dir_.Join("pages-3.img"), std::ios::in | std::ios::binary);
  file.seekp(2 * kPageSize);
  file << Page('c');
  file.close();
  ASSERT_TRUE(file.good());
  EXPECT_THAT(Open(3), StatusIs(absl::StatusCode::kDataLoss,
                                HasSubstr("hole at offset 4096")));
}

TEST_F(PagesFileTest, NoPagesNeedNoFile) {
  EXPECT_OK(Open(0));
  EXPECT_THAT(Open(1),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("pages-3.img")));
}

TEST_F(PagesFileTest, NoPagesMeansAnEmptyFile) {
  Write("");
  EXPECT_OK(Open(0));
  Write(Page('a'));
  EXPECT_THAT(Open(0), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace pagelift
