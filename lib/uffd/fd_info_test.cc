#include "lib/uffd/fd_info.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(ParseFdInfoTest, ReadsWhatTheKernelPrints) {
  ASSERT_OK_AND_ASSIGN(
      UserfaultFdInfo info,
      ParseFdInfo("pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t1\n"
                  "pending:\t2\ntotal:\t5\nAPI:\taa:8000004e:1ffff\n"));
  EXPECT_EQ(info.unread_faults, 2u);
  EXPECT_EQ(info.waiting_faults, 5u);
  EXPECT_TRUE(info.handshake_done);
  EXPECT_EQ(info.features, kLayoutEvents);
}

TEST(ParseFdInfoTest, KnowsThatTheHandshakeIsNotDone) {
  ASSERT_OK_AND_ASSIGN(
      UserfaultFdInfo info,
      ParseFdInfo("pending:\t0\ntotal:\t0\nAPI:\taa:0:1ffff\n"));
  EXPECT_FALSE(info.handshake_done);
}

TEST(ParseFdInfoTest, RefusesAnythingElse) {
  for (const char* text : {"", "pos:\t0\n", "pending:\t0\ntotal:\t0\n",
                           "pending:\tx\ntotal:\t0\nAPI:\taa:0:1\n",
                           "pending:\t0\ntotal:\t0\nAPI:\tab:0:1\n",
                           "pending:\t0\ntotal:\t0\nAPI:\taa:0\n"}) {
    EXPECT_THAT(ParseFdInfo(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(ReadFdInfoTest, SaysWhatTheDescriptorIsInstead) {
  UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_THAT(ReadFdInfo(event.get()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not a userfaultfd but anon_inode:[eventfd")));
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(
      ReadFdInfo(null.get()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/dev/null")));
  EXPECT_THAT(ReadFdInfo(-1), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
