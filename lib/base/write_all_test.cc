#include "lib/base/write_all.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

TEST(WriteAllTest, WritesAll) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  EXPECT_OK(WriteAll(writing.get(), "abc"));
  EXPECT_OK(WriteAll(writing.get(), ""));
  char bytes[8];
  ASSERT_EQ(read(reading.get(), bytes, sizeof(bytes)), 3);
  EXPECT_EQ(std::string(bytes, 3), "abc");
}

TEST(WriteAllTest, SaysWhyItCannot) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  EXPECT_THAT(WriteAll(full.get(), "abc"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       ::testing::HasSubstr("No space left")));
}

}  // namespace
}  // namespace pagelift
