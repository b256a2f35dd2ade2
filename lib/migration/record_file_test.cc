#include "lib/migration/record_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
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
  ASSERT_OK_AND_ASSIGN(const auto found, ReadNote<v1::SourceDescriptors>(
                                             dir.path(), "descriptors"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->leash(), 8);
  EXPECT_FALSE(WriteNote(dir.Join("none"), "descriptors", note).ok());
}

std::string StateIn(const TempDir& dir) {
  const auto found = ReadRecord<v1::SourceRecord>(dir.path(), "record");
  if (!found.ok()) return found.status().ToString();
  return found->has_value() ? (*found)->state() : "none";
}

void Write(const TempDir& dir, const std::string& state) {
  v1::SourceRecord record;
  record.set_state(state);
  ASSERT_OK(WriteRecord(dir.path(), "record", record));
}

// Whatever of a write gets to the disk before a host fails.
TEST(RecordFileTest, OneThatIsWrittenInPartLeavesTheOneBefore) {
  const TempDir dir;
  Write(dir, "prepared");
  Write(dir, "held");
  const std::string before = *ReadFile(dir.Join("record"));
  Write(dir, "committed");
  const std::string after = *ReadFile(dir.Join("record"));
  ASSERT_EQ(before.size(), after.size());
  size_t changed = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    if (before[i] == after[i]) continue;
    ++changed;
    // All up to here, or this byte alone.
    for (const std::string& torn :
         {after.substr(0, i) + before.substr(i),
          before.substr(0, i) + after[i] + before.substr(i + 1)}) {
      if (torn == before) continue;
      WriteFile(dir.Join("record"), torn);
      EXPECT_EQ(StateIn(dir), "held") << i;
    }
  }
  EXPECT_GT(changed, 8u);
  WriteFile(dir.Join("record"), after);
  EXPECT_EQ(StateIn(dir), "committed");
  Write(dir, "resumed");
  EXPECT_EQ(StateIn(dir), "resumed");
}

TEST(RecordFileTest, AFullDiskIsNoObstacle) {
  const TempDir dir;
  Write(dir, "prepared");
  struct stat first, then;
  ASSERT_EQ(stat(dir.Join("record").c_str(), &first), 0);
  for (const char* state : {"held", "committed", "resuming", "running"}) {
    Write(dir, state);
    EXPECT_EQ(StateIn(dir), state);
  }
  ASSERT_EQ(stat(dir.Join("record").c_str(), &then), 0);
  EXPECT_EQ(first.st_ino, then.st_ino);
  EXPECT_EQ(first.st_blocks, then.st_blocks);
  EXPECT_EQ(first.st_size, then.st_size);
}

TEST(RecordFileTest, AfterOneThatFailsTheOneBeforeIsRead) {
  const TempDir dir;
  Write(dir, "prepared");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  // Within the second slot.
  rlimit limited = before;
  limited.rlim_cur = 8192 + 40;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  v1::SourceRecord record;
  record.set_state("committed, and more than there is room for");
  EXPECT_FALSE(WriteRecord(dir.path(), "record", record).ok());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(StateIn(dir), "prepared");
  EXPECT_EQ(ReadFile(dir.Join("record"))->substr(8192, 32),
            std::string(32, '\0'));
  Write(dir, "aborted");
  EXPECT_EQ(StateIn(dir), "aborted");
}

TEST(RecordFileTest, GrowsWithTheMessage) {
  const TempDir dir;
  Write(dir, "small");
  for (size_t size : {8000, 9000, 100'000, 10}) {
    Write(dir, std::string(size, 's'));
    EXPECT_EQ(StateIn(dir).size(), size);
  }
}

TEST(RecordFileTest, OneThatIsDamagedCanBeWrittenAnew) {
  const TempDir dir;
  WriteFile(dir.Join("record"), std::string(1 << 14, 'x'));
  EXPECT_THAT(StateIn(dir), HasSubstr("damaged"));
  Write(dir, "aborted");
  EXPECT_EQ(StateIn(dir), "aborted");
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
