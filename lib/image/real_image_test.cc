// Images that CRIU 4.1.1 wrote, of a task with three threads, its zombie child
// and a forked child: once as a plain dump ("full"), once with --lazy-pages
// ("lazy"). Only the metadata is kept; the test makes pages files of the right
// sizes.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/image_summary.h"
#include "lib/image/pagemap.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class RealImageTest : public ::testing::Test {
 protected:
  RealImageTest() {
    std::filesystem::copy("lib/image/testdata/criu-4.1.1", dir_.path(),
                          std::filesystem::copy_options::recursive);
    for (const char* name : {"full", "lazy"}) {
      MakePages(dir_.Join(name), "pagemap-18.img");
      MakePages(dir_.Join(name), "pagemap-23.img");
    }
  }

  void MakePages(const std::string& directory, const std::string& name) {
    std::ifstream file(directory + "/" + name, std::ios::binary);
    std::string contents((std::istreambuf_iterator<char>(file)), {});
    ASSERT_OK_AND_ASSIGN(Pagemap pagemap, DecodePagemap(name, contents));
    WriteFile(directory + "/pages-" + std::to_string(pagemap.pages_id) + ".img",
              std::string(pagemap.present_pages.bytes(), 'x'));
  }

  TempDir dir_;
};

TEST_F(RealImageTest, APlainDumpCanBeServed) {
  ASSERT_OK_AND_ASSIGN(auto image, CheckpointImage::Open(dir_.Join("full")));
  const ImageDescription& description = image->description();
  ASSERT_THAT(description.tasks, SizeIs(3));
  const TaskDescription& root = description.tasks[0];
  EXPECT_EQ(root.pid, 18);
  EXPECT_THAT(root.lazy_regions,
              ElementsAre(PagesOf(0x560d7e61a000, 0x560d7e63b000),
                          PagesOf(0x7ff76951f000, 0x7ff769520000),
                          PagesOf(0x7ff769520000, 0x7ff769d20000),
                          PagesOf(0x7ff769d20000, 0x7ff769d21000),
                          PagesOf(0x7ff769d21000, 0x7ff76a521000),
                          PagesOf(0x7ff76a521000, 0x7ff76a5be000),
                          PagesOf(0x7ff76a793000, 0x7ff76a7a0000),
                          PagesOf(0x7ff76a7ac000, 0x7ff76a7ae000),
                          PagesOf(0x7ffef68dc000, 0x7ffef68fd000)));
  EXPECT_EQ(root.lazy_pages(), PageCount(155));
  // An entry that spans two mappings.
  EXPECT_EQ(root.extents[2].pages, PagesOf(0x7ff76a51f000, 0x7ff76a521000));
  EXPECT_EQ(root.extents[3].pages, PagesOf(0x7ff76a521000, 0x7ff76a587000));
  EXPECT_TRUE(description.tasks[1].zombie);
  EXPECT_EQ(description.tasks[2].pid, 23);
}

TEST_F(RealImageTest, ALazyDumpHasTheSameLayoutAndNoContents) {
  EXPECT_THAT(CheckpointImage::Open(dir_.Join("lazy")),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(auto full, CheckpointImage::Open(dir_.Join("full")));
  ASSERT_OK_AND_ASSIGN(auto lazy, CheckpointImage::Open(dir_.Join("lazy"),
                                                        OpenMode::kLayoutOnly));
  EXPECT_EQ(lazy->description().page_count, full->description().page_count);
  EXPECT_NE(lazy->description().content_id, full->description().content_id);
}

TEST_F(RealImageTest, TheSummaryNamesTheTasks) {
  ASSERT_OK_AND_ASSIGN(ImageSummary summary, SummarizeImage(dir_.Join("lazy")));
  ASSERT_THAT(summary.tasks, SizeIs(3));
  EXPECT_EQ(summary.tasks[0].comm, "t");
  EXPECT_EQ(summary.tasks[0].threads, 3u);
  EXPECT_EQ(summary.tasks[0].mappings, 29u);
  EXPECT_EQ(summary.tasks[0].pages.lazy, summary.tasks[0].pages.remote);
  EXPECT_EQ(summary.tasks[0].pages.eager, PageCount(19));
  EXPECT_EQ(summary.run_id.size(), 36u);
}

}  // namespace
}  // namespace pagelift
