#include "client/cli/migration_list.h"

#include <sys/stat.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/migration/record_file.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MigrationListTest : public ::testing::Test {
 protected:
  void Plan(const std::string& id) {
    const std::string directory = dir_.Join(id);
    ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
    v1::MigrationPlan plan;
    plan.set_id(id);
    plan.set_pid(17);
    plan.set_destination("host-b:7078");
    ASSERT_OK(WriteRecord(directory, "plan", plan));
  }
  TempDir dir_;
};

TEST_F(MigrationListTest, TellsOfWhatIsPlannedAndWhatIsOver) {
  Plan("one");
  Plan("two");
  v1::SourceRecord record;
  record.set_state("aborted");
  record.set_reason("no such host");
  record.set_downtime_ms(12);
  ASSERT_OK(WriteRecord(dir_.Join("two"), "record", record));
  ASSERT_OK_AND_ASSIGN(const auto known, KnownMigrations(dir_.path()));
  ASSERT_THAT(known, SizeIs(2));
  EXPECT_THAT(
      MigrationsTable(known),
      AllOf(HasSubstr("planned"), HasSubstr("aborted"), HasSubstr("12.0 ms"),
            HasSubstr("host-b:7078"), HasSubstr("! no such host")));
  EXPECT_THAT(MigrationsJson(known),
              AllOf(HasSubstr(R"("id":"one","state":"planned","pid":17)"),
                    HasSubstr(R"("downtime_ms":12)")));
}

TEST_F(MigrationListTest, WhatIsNoMigrationIsLeftOut) {
  ASSERT_EQ(mkdir(dir_.Join("other").c_str(), 0700), 0);
  EXPECT_THAT(KnownMigrations(dir_.path()), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(KnownMigrations(dir_.Join("none")), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(MigrationsTable({}), "no migrations\n");
  EXPECT_EQ(MigrationsJson({}), "{\"migrations\":[]}\n");
}

}  // namespace
}  // namespace pagelift
