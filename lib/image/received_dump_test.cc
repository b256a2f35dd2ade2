#include "lib/image/received_dump.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class ReceivedDumpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dump = ReceivedDump::Start(dir_.Join("dump-1"));
    ASSERT_OK(dump);
    dump_.emplace(*std::move(dump));
  }

  absl::Status Append(char what, size_t bytes) {
    const std::vector<std::byte> contents(bytes, std::byte(what));
    return dump_->Append(contents);
  }

  std::vector<std::string> Names(const std::string& path) {
    return *ImageDirectory::Open(path)->List();
  }

  Pagemap Read(const std::string& name) {
    auto contents = ImageDirectory::Open(dir_.Join("dump-1"))->ReadFile(name);
    EXPECT_OK(contents);
    auto pagemap = DecodePagemap(name, *contents);
    EXPECT_OK(pagemap);
    return *pagemap;
  }

  TempDir dir_;
  std::optional<ReceivedDump> dump_;
};

TEST_F(ReceivedDumpTest, HasWhatCame) {
  ASSERT_OK(dump_->OpenSharedMemory(0));
  ASSERT_OK(dump_->OpenTask(1000));
  ASSERT_OK(dump_->Add(Pages(0x1000, 2), /*lazy=*/false));
  ASSERT_OK(Append('a', 5000));
  ASSERT_OK(Append('b', 3192));
  ASSERT_OK(dump_->Add(Pages(0x1002, 1), /*lazy=*/true));
  ASSERT_OK(Append('c', 4096));
  ASSERT_OK(dump_->Publish());
  EXPECT_EQ(dump_->objects(), 2u);
  EXPECT_EQ(dump_->pages(), PageCount(3));
  EXPECT_THAT(Names(dir_.Join("dump-1")),
              ElementsAre("pagemap-1000.img", "pagemap-shmem-0.img",
                          "pages-65537.img", "pages-65538.img"));
  const Pagemap pagemap = Read("pagemap-1000.img");
  EXPECT_EQ(pagemap.pages_id, 65538u);
  EXPECT_EQ(pagemap.counts, PagemapCounts::kOld);
  ASSERT_EQ(pagemap.entries.size(), 2u);
  EXPECT_EQ(pagemap.entries[0].pages, Pages(0x1000, 2));
  EXPECT_EQ(BitsOf(pagemap.entries[0].flags), 4u);
  EXPECT_EQ(BitsOf(pagemap.entries[1].flags), 6u);
  EXPECT_THAT(
      ImageDirectory::Open(dir_.Join("dump-1"))->ReadFile("pages-65538.img"),
      IsOkAndHolds(std::string(5000, 'a') + std::string(3192, 'b') +
                   std::string(4096, 'c')));
  EXPECT_TRUE(Read("pagemap-shmem-0.img").entries.empty());
}

TEST_F(ReceivedDumpTest, LeavesNothingUnlessItIsPublished) {
  ASSERT_OK(dump_->OpenTask(1000));
  ASSERT_OK(dump_->Add(Pages(0x1000, 2), /*lazy=*/false));
  ASSERT_OK(Append('a', 5000));
  dump_.reset();
  EXPECT_THAT(Names(dir_.path()), IsEmpty());
}

TEST_F(ReceivedDumpTest, IsNotPublishedWithoutAllContents) {
  ASSERT_OK(dump_->OpenTask(1000));
  ASSERT_OK(dump_->Add(Pages(0x1000, 2), /*lazy=*/false));
  ASSERT_OK(Append('a', 4096));
  EXPECT_THAT(dump_->Publish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("lacks 4096 bytes")));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("dump-1")));
}

TEST_F(ReceivedDumpTest, RefusesWhatIsOutOfOrder) {
  const auto refused = [](const char* why) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why));
  };
  EXPECT_THAT(dump_->Add(Pages(0x1000, 1), false), refused("nothing is open"));
  EXPECT_THAT(Append('a', 1), refused("nobody named"));
  ASSERT_OK(dump_->OpenTask(1000));
  ASSERT_OK(dump_->Add(Pages(0x1000, 2), false));
  EXPECT_THAT(dump_->Add(Pages(0x1002, 1), false), refused("out of order"));
  EXPECT_THAT(dump_->OpenTask(1001), refused("lacks 8192 bytes"));
  ASSERT_OK(Append('a', 8192));
  EXPECT_THAT(Append('a', 1), refused("nobody named"));
  EXPECT_THAT(dump_->Add(Pages(0x1001, 1), false), refused("come twice"));
  EXPECT_THAT(dump_->OpenTask(1000), refused("pagemap-1000.img comes twice"));
}

TEST_F(ReceivedDumpTest, HasALimitedNumberOfTasks) {
  for (uint32_t i = 1; i <= ReceivedDump::kMostObjects; ++i) {
    ASSERT_OK(dump_->OpenTask(static_cast<int32_t>(i)));
  }
  EXPECT_THAT(dump_->OpenTask(1 << 20),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace pagelift
