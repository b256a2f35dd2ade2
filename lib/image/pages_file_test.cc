#include "lib/image/pages_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

class PagesFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const PagesFile>> Open(uint64_t pages) {
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
  ASSERT_OK_AND_ASSIGN(auto file, Open(4));
  std::vector<std::byte> pages(2 * kPageSize);
  EXPECT_THAT(file->Read(PageCount(1), absl::MakeSpan(pages)),
              IsOkAndHolds(PageCount(2)));
  EXPECT_THAT(pages, Each(std::byte{'b'}));
}

TEST_F(PagesFileTest, WhatWillBeNeededComesIntoTheCache) {
  constexpr uint64_t kPages = 64;
  Write(std::string(kPages * kPageSize, 'a'));
  ASSERT_OK_AND_ASSIGN(auto file, Open(kPages));
  const UniqueFd fd(
      open(dir_.Join("pages-3.img").c_str(), O_RDONLY | O_CLOEXEC));
  void* mapped =
      mmap(nullptr, kPages * kPageSize, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const auto cached = [mapped] {
    unsigned char resident[kPages];
    EXPECT_EQ(mincore(mapped, kPages * kPageSize, resident), 0);
    return std::all_of(resident, resident + kPages,
                       [](unsigned char page) { return (page & 1) != 0; });
  };
  ASSERT_EQ(fsync(fd.get()), 0);
  ASSERT_EQ(posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  if (cached()) GTEST_SKIP() << "this file system is in memory";
  file->WillNeed(PageCount(0), PageCount(kPages));
  EXPECT_TRUE(Eventually(cached));
  munmap(mapped, kPages * kPageSize);
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

// On file systems that fill a hole when it is read, and that do not.
class PunchedPagesFileTest : public ::testing::TestWithParam<const char*> {
 protected:
  // Opens 'a' zero zero zero zero 'b' 'c' 'd'.
  void SetUp() override {
    std::string folder = std::string(GetParam()) + "/pagelift.XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) {
      GTEST_SKIP() << folder << ": errno " << errno;
    }
    folder_ = folder;
    path_ = folder + "/pages-3.img";
    WriteFile(path_, Page('a') + std::string(4 * kPageSize, 0) + Page('b') +
                         Page('c') + Page('d'));
    ASSERT_OK_AND_ASSIGN(ImageDirectory directory,
                         ImageDirectory::Open(folder));
    ASSERT_OK_AND_ASSIGN(file_, PagesFile::Open(directory, 3, PageCount(8)));
  }

  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void Punch(uint64_t first, uint64_t count) {
    const UniqueFd fd(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        first * kPageSize, count * kPageSize),
              0);
  }

  absl::StatusOr<PageCount> Read(uint64_t first, uint64_t count) {
    bytes_.assign(count * kPageSize, std::byte{'?'});
    return file_->Read(PageCount(first), absl::MakeSpan(bytes_));
  }

  // Looks at them before, as whoever asks has.
  PagesCheck Check(uint64_t first, uint64_t count) {
    Read(first, count).IgnoreError();
    return file_->Check(PageCount(first), PageCount(count));
  }

  void ExpectIntact(uint64_t first, uint64_t asked, uint64_t count) {
    const PagesCheck check = Check(first, asked);
    EXPECT_OK(check.status);
    EXPECT_EQ(check.count, PageCount(count));
  }

  void ExpectLost(uint64_t first, uint64_t asked, uint64_t count,
                  const std::string& why) {
    const PagesCheck check = Check(first, asked);
    EXPECT_THAT(
        check.status,
        StatusIs(absl::StatusCode::kDataLoss,
                 AllOf(HasSubstr(path_), HasSubstr(why),
                       HasSubstr(absl::StrCat("offset ", first * kPageSize)))));
    EXPECT_EQ(check.count, PageCount(count));
  }

  std::string folder_;
  std::string path_;
  std::shared_ptr<const PagesFile> file_;
  std::vector<std::byte> bytes_;
};

INSTANTIATE_TEST_SUITE_P(, PunchedPagesFileTest,
                         ::testing::Values("/tmp", "/dev/shm"),
                         [](const auto& folder) {
                           return folder.index == 0 ? "Tmp" : "DevShm";
                         });

TEST_P(PunchedPagesFileTest, ZerosThatWereDumpedAreIntact) {
  ExpectIntact(1, 4, 4);
  ExpectIntact(4, 1, 1);
}

TEST_P(PunchedPagesFileTest, AHoleBesideZerosIsLostHoweverOftenItIsRead) {
  ASSERT_NO_FATAL_FAILURE(Punch(5, 2));
  for (int i = 0; i < 2; ++i) {
    ExpectIntact(1, 4, 4);
    ExpectLost(5, 2, 2, "hole");
    ExpectLost(5, 1, 1, "hole");
    ExpectLost(6, 1, 1, "hole");
  }
  EXPECT_THAT(Read(7, 1), IsOkAndHolds(PageCount(1)));
  EXPECT_THAT(bytes_, Each(std::byte{'d'}));
}

TEST_P(PunchedPagesFileTest, AHoleAmongZerosIsLostAndTheyAreNot) {
  ASSERT_NO_FATAL_FAILURE(Punch(2, 1));
  ExpectIntact(1, 1, 1);
  ExpectLost(2, 1, 1, "hole");
  ExpectIntact(3, 2, 2);
}

TEST_P(PunchedPagesFileTest, HolesAtTheEndsOfTheFileAreLost) {
  ASSERT_NO_FATAL_FAILURE(Punch(0, 1));
  ASSERT_NO_FATAL_FAILURE(Punch(7, 1));
  ExpectLost(0, 1, 1, "do not run `criu dedup`");
  ExpectIntact(1, 4, 4);
  ExpectLost(7, 1, 1, "another copy of the checkpoint");
}

TEST_P(PunchedPagesFileTest, AFileThatIsRemovedIsStillAsked) {
  ASSERT_NO_FATAL_FAILURE(Punch(6, 1));
  ASSERT_EQ(unlink(path_.c_str()), 0);
  const PagesCheck check = Check(6, 2);
  EXPECT_THAT(check.status, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(check.count, PageCount(1));
}

TEST_P(PunchedPagesFileTest, WhatIsTruncatedIsLost) {
  ASSERT_EQ(truncate(path_.c_str(), 3 * kPageSize), 0);
  ExpectIntact(1, 2, 2);
  ExpectLost(3, 5, 5, "truncated to 12288 bytes");
  EXPECT_THAT(Read(1, 7), IsOkAndHolds(PageCount(2)));
  EXPECT_THAT(Read(3, 5), StatusIs(absl::StatusCode::kDataLoss,
                                   HasSubstr("truncated to 12288 bytes")));
  ASSERT_EQ(truncate(path_.c_str(), 8 * kPageSize), 0);
  ExpectLost(3, 5, 5, "hole");
}

}  // namespace
}  // namespace pagelift
