#include "lib/migration/record_file.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(RecordFileTest, WhatIsWrittenIsRead) {
  const TempDir dir;
  v1::SourceRecord record;
  record.set_state("committed");
  ASSERT_OK(WriteRecord(dir.path(), "record", record));
  record.set_state("resumed");
  ASSERT_OK(WriteRecord(dir.path(), "record", record));
  ASSERT_OK_AND_ASSIGN(const auto found,
                       ReadRecord<v1::SourceRecord>(dir.path(), "record"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->state(), "resumed");
}

TEST(RecordFileTest, ANoteIsReadLikewise) {
  const TempDir dir;
  v1::SourceDescriptors note;
  note.set_leash(7);
  ASSERT_OK(WriteNote(dir.path(), "descriptors", note));
  note.set_leash(8);
  ASSERT_OK(WriteNote(dir.path(), "descriptors", note));
  ASSERT_OK_AND_ASSIGN(const auto found, ReadRecord<v1::SourceDescriptors>(
                                             dir.path(), "descriptors"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->leash(), 8);
  EXPECT_FALSE(WriteNote(dir.Join("none"), "descriptors", note).ok());
}

TEST(RecordFileTest, NoneIsNoError) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto found,
                       ReadRecord<v1::SourceRecord>(dir.path(), "record"));
  EXPECT_FALSE(found.has_value());
}

TEST(RecordFileTest, WhatIsNoRecordIsRefused) {
  const TempDir dir;
  std::ofstream(dir.Join("record")) << "\xff\xff not a record";
  EXPECT_THAT(ReadRecord<v1::SourceRecord>(dir.path(), "record").status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("record")));
  EXPECT_THAT(WriteRecord(dir.Join("none"), "record", v1::SourceRecord()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace pagelift
