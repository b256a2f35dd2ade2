#include "lib/base/memory_file.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

TEST(MemoryFileTest, IsReadFromTheBeginning) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, MemoryFile("test", "contents"));
  char text[16] = {};
  EXPECT_EQ(read(file.get(), text, sizeof(text)), 8);
  EXPECT_STREQ(text, "contents");
}

TEST(MemoryFileTest, CanBeOpenedByItsNumber) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, MemoryFile("test", "contents"));
  EXPECT_THAT(ReadFile(absl::StrCat("/proc/self/fd/", file.get())),
              IsOkAndHolds("contents"));
}

}  // namespace
}  // namespace pagelift
