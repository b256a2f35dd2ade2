#include "daemon/page_server/dump_names.h"

#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

TEST(DumpNamesTest, NoTwoAreTheSame) {
  TempDir dir;
  const absl::Time now = absl::FromUnixSeconds(1769903999);
  DumpNames names(dir.path());
  EXPECT_EQ(names.Next(now), dir.Join("dump-20260131-235959"));
  EXPECT_EQ(names.Next(now), dir.Join("dump-20260131-235959-2"));
  EXPECT_EQ(names.Next(now + absl::Seconds(1)),
            dir.Join("dump-20260201-000000"));
}

TEST(DumpNamesTest, WhatIsThereIsLeftAlone) {
  TempDir dir;
  const absl::Time now = absl::FromUnixSeconds(1769903999);
  WriteFile(dir.Join("dump-20260131-235959"), "");
  EXPECT_EQ(DumpNames(dir.path()).Next(now),
            dir.Join("dump-20260131-235959-2"));
}

}  // namespace
}  // namespace pagelift
