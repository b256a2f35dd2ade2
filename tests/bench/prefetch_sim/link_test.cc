#include "tests/bench/prefetch_sim/link.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"

namespace pagelift::bench {
namespace {

// A page takes 4 µs.
const LinkModel kModel = {"", absl::Microseconds(100), 4096 / 4e-6,
                          absl::Microseconds(1)};

TEST(LinkTest, AMessageTakesItsLengthAndHalfARoundTrip) {
  Link link(kModel);
  EXPECT_EQ(link.Send(PageCount(2), absl::Microseconds(10)),
            absl::Microseconds(10 + 1 + 8 + 50));
}

TEST(LinkTest, MessagesStandInLine) {
  Link link(kModel);
  link.Send(PageCount(10), absl::ZeroDuration());
  EXPECT_EQ(link.Send(PageCount(1), absl::Microseconds(20)),
            absl::Microseconds(41 + 5 + 50));
}

TEST(LinkTest, AnIdleLinkHasNoLine) {
  Link link(kModel);
  link.Send(PageCount(10), absl::ZeroDuration());
  EXPECT_EQ(link.Send(PageCount(1), absl::Microseconds(500)),
            absl::Microseconds(500 + 5 + 50));
}

}  // namespace
}  // namespace pagelift::bench
