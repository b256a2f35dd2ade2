#include "lib/image/image_file.h"

#include "criu/inventory.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using std::string_literals::operator""s;

const std::string kPagemapMagic = "\x19\x43\x56\x54\x25\x40\x08\x56"s;

TEST(ImageFileTest, ReadsRecordsUntilTheEnd) {
  std::string contents =
      kPagemapMagic + "\x02\0\0\0ab"s + "\0\0\0\0"s + "\x01\0\0\0c"s;
  ASSERT_OK_AND_ASSIGN(ImageFile file,
                       ImageFile::Parse("f", contents, ImageKind::kPagemap));
  ASSERT_OK_AND_ASSIGN(auto first, file.Next());
  EXPECT_EQ(first->bytes, "ab");
  EXPECT_EQ(first->offset, 8u);
  ASSERT_OK_AND_ASSIGN(auto second, file.Next());
  EXPECT_EQ(second->bytes, "");
  ASSERT_OK_AND_ASSIGN(auto third, file.Next());
  EXPECT_EQ(third->bytes, "c");
  EXPECT_EQ(third->offset, 18u);
  ASSERT_OK_AND_ASSIGN(auto end, file.Next());
  EXPECT_FALSE(end.has_value());
}

TEST(ImageFileTest, TheInventoryHasNoCommonMagic) {
  std::string contents = "\x16\x31\x31\x58\x01\0\0\0x"s;
  ASSERT_OK_AND_ASSIGN(ImageFile file,
                       ImageFile::Parse("f", contents, ImageKind::kInventory));
  ASSERT_OK_AND_ASSIGN(ImageRecord record, file.OnlyRecord());
  EXPECT_EQ(record.bytes, "x");
}

TEST(ImageFileTest, RefusesAnotherKindOfImage) {
  EXPECT_THAT(
      ImageFile::Parse("mm-7.img", kPagemapMagic, ImageKind::kMemory),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("mm-7.img starts with")));
}

TEST(ImageFileTest, RefusesAFileTooShortForItsMagic) {
  for (size_t size = 0; size < kPagemapMagic.size(); ++size) {
    EXPECT_THAT(ImageFile::Parse("f", kPagemapMagic.substr(0, size),
                                 ImageKind::kPagemap),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("copy")));
  }
}

TEST(ImageFileTest, ATruncatedRecordIsNamedByItsOffset) {
  std::string contents = kPagemapMagic + "\x01\0\0\0a"s + "\x05\0\0\0abcd"s;
  ASSERT_OK_AND_ASSIGN(ImageFile file,
                       ImageFile::Parse("f", contents, ImageKind::kPagemap));
  ASSERT_OK(file.Next());
  EXPECT_THAT(file.Next(),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("offset 13 has 5 bytes, of which the file "
                                 "has 4")));
}

TEST(ImageFileTest, ATruncatedLengthIsAnError) {
  std::string contents = kPagemapMagic + "\x01\0"s;
  ASSERT_OK_AND_ASSIGN(ImageFile file,
                       ImageFile::Parse("f", contents, ImageKind::kPagemap));
  EXPECT_THAT(file.Next(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset 8")));
}

TEST(ImageFileTest, OneRecordMeansOne) {
  std::string none = kPagemapMagic;
  std::string two = kPagemapMagic + "\0\0\0\0"s + "\0\0\0\0"s;
  for (const std::string& contents : {none, two}) {
    ASSERT_OK_AND_ASSIGN(ImageFile file,
                         ImageFile::Parse("f", contents, ImageKind::kPagemap));
    EXPECT_THAT(file.OnlyRecord(), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ImageFileTest, BytesThatAreNoMessageAreAnError) {
  std::string contents = kPagemapMagic + FramedRecord("\x08");
  ASSERT_OK_AND_ASSIGN(ImageFile file,
                       ImageFile::Parse("f", contents, ImageKind::kPagemap));
  ASSERT_OK_AND_ASSIGN(ImageRecord record, file.OnlyRecord());
  criu::Inventory message;
  EXPECT_THAT(file.Decode(record, &message),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset 8")));
}

}  // namespace
}  // namespace pagelift
