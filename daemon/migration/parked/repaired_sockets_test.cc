#include "daemon/migration/parked/repaired_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

int RepairOf(const UniqueFd& socket) {
  int repair = -1;
  socklen_t length = sizeof(repair);
  getsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &repair, &length);
  return repair;
}

TEST(RepairedSocketsTest, GoBackToWork) {
  const UniqueFd repaired(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd other(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const UniqueFd local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (setsockopt(repaired.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) !=
      0) {
    GTEST_SKIP() << "needs CAP_NET_ADMIN";
  }
  ASSERT_EQ(RepairOf(repaired), 1);
  const absl::StatusOr<PidFd> self = PidFd::Open(getpid());
  ASSERT_OK(self);
  EXPECT_OK(EndRepairOfSockets(*self));
  EXPECT_EQ(RepairOf(repaired), 0);
  EXPECT_EQ(RepairOf(other), 0);
}

}  // namespace
}  // namespace pagelift
