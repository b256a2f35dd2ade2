#include "lib/image/page_seal.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/xxh3.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

constexpr char kId[] = "0123456789abcdef0123456789abcdef";
constexpr PageCount kPages(3);

std::vector<std::byte> Contents() {
  std::vector<std::byte> contents;
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    const PageBytes page = PatternOf(ImagePage(i));
    contents.insert(contents.end(), page.begin(), page.end());
  }
  return contents;
}

std::vector<uint64_t> Digests() {
  std::vector<uint64_t> digests;
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    digests.push_back(Xxh3::Of(PatternOf(ImagePage(i))));
  }
  return digests;
}

TEST(PageSealTest, FindsTheFirstPageThatHasChanged) {
  ASSERT_OK_AND_ASSIGN(
      const PageSeal seal,
      PageSeal::Decode(PageSeal::Encode(kId, Digests()), kId, kPages));
  std::vector<std::byte> contents = Contents();
  EXPECT_EQ(seal.Unchanged(ImagePage(0), contents), kPages);
  contents[kPageSize + 17] ^= std::byte{1};
  EXPECT_EQ(seal.Unchanged(ImagePage(0), contents), PageCount(1));
  const ByteSpan all(contents);
  EXPECT_EQ(seal.Unchanged(ImagePage(1), all.subspan(kPageSize)), PageCount(0));
  EXPECT_EQ(seal.Unchanged(ImagePage(2), all.subspan(2 * kPageSize)),
            PageCount(1));
}

TEST(PageSealTest, AnyChangeOfTheSealIsNoticed) {
  const std::string bytes = PageSeal::Encode(kId, Digests());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 0x10;
    EXPECT_EQ(PageSeal::Decode(changed, kId, kPages).status().code(),
              absl::StatusCode::kDataLoss)
        << i;
    EXPECT_FALSE(PageSeal::Decode(bytes.substr(0, i), kId, kPages).ok()) << i;
  }
  EXPECT_FALSE(PageSeal::Decode(bytes + bytes.back(), kId, kPages).ok());
}

TEST(PageSealTest, AnotherCheckpointsIsRefused) {
  const std::string bytes = PageSeal::Encode(kId, Digests());
  std::string other_id = kId;
  other_id[0] = 'f';
  for (const auto& seal :
       {PageSeal::Decode(bytes, other_id, kPages),
        PageSeal::Decode(bytes, kId, kPages + PageCount(1))}) {
    EXPECT_THAT(seal.status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("another checkpoint")));
  }
}

TEST(PageSealTest, LiesInTheDirectoryOfTheImage) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const ImageDirectory directory,
                       ImageDirectory::Open(dir.path()));
  ASSERT_OK_AND_ASSIGN(std::optional<PageSeal> seal,
                       PageSeal::Read(directory, kId, kPages));
  EXPECT_FALSE(seal.has_value());
  ASSERT_OK(PageSeal::Write(dir.path(), kId, Digests()));
  ASSERT_OK_AND_ASSIGN(seal, PageSeal::Read(directory, kId, kPages));
  ASSERT_TRUE(seal.has_value());
  EXPECT_EQ(seal->Unchanged(ImagePage(0), Contents()), kPages);
  std::ofstream(dir.Join(PageSeal::kName)) << "no seal";
  EXPECT_THAT(PageSeal::Read(directory, kId, kPages).status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("pagelift-seal: it is damaged")));
}

}  // namespace
}  // namespace pagelift
