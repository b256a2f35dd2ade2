#include "lib/base/poll_until.h"

#include <poll.h>
#include <unistd.h>

#include <array>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/testing/soon.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

TEST(PollUntilTest, TellsWhatIsReadyAndWhatIsNot) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd read_end(ends[0]), write_end(ends[1]);
  EXPECT_FALSE(PollUntil(read_end.get(), POLLIN, absl::ZeroDuration()));
  EXPECT_FALSE(PollUntil(read_end.get(), POLLIN,
                         MonotonicNow() + absl::Milliseconds(1)));
  std::array<pollfd, 2> fds = {
      {{read_end.get(), POLLIN, 0}, {write_end.get(), POLLOUT, 0}}};
  EXPECT_TRUE(PollUntil(absl::MakeSpan(fds), absl::InfiniteDuration()));
  EXPECT_EQ(fds[0].revents, 0);
  EXPECT_EQ(fds[1].revents, POLLOUT);
  ASSERT_EQ(write(write_end.get(), "x", 1), 1);
  EXPECT_TRUE(PollUntil(read_end.get(), POLLIN, absl::ZeroDuration()));
  EXPECT_TRUE(PollUntil(read_end.get(), POLLIN, MonotonicNow() + kSoon));
}

}  // namespace
}  // namespace pagelift
