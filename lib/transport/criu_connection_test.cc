#include "lib/transport/criu_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/source/image_description.h"
#include "lib/transport/testing/criu_fake_page_server.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using End = CriuFakePageServer::End;

constexpr absl::Duration kLongWhile = absl::Seconds(60);

class CriuConnectionTest : public ::testing::Test {
 protected:
  // Connected to `server_`.
  UniqueFd Connect() {
    absl::StatusOr<UniqueFd> socket =
        ConnectToCriu("127.0.0.1", server_.port(), kLongWhile);
    EXPECT_THAT(socket, IsOk());
    server_.Accept();
    return *std::move(socket);
  }

  CriuFakePageServer server_{ImageDescription()};
};

TEST_F(CriuConnectionTest, SaysWhatToCheckIfNobodyListens) {
  server_.StopListening();
  EXPECT_THAT(
      ConnectToCriu("127.0.0.1", server_.port(), kLongWhile),
      StatusIs(absl::StatusCode::kUnavailable,
               AllOf(HasSubstr("127.0.0.1:"), HasSubstr("Connection refused"),
                     HasSubstr("criu dump --lazy-pages"))));
}

TEST_F(CriuConnectionTest, RefusesAnAddressThatIsNone) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ConnectToCriu("", 1, kLongWhile), refused);
  EXPECT_THAT(ConnectToCriu("127.0.0.1", 0, kLongWhile), refused);
  EXPECT_THAT(ConnectToCriu("no such host", 1, kLongWhile), refused);
}

TEST_F(CriuConnectionTest, GivesUpAtTheDeadline) {
  EXPECT_THAT(
      ConnectToCriu("127.0.0.1", server_.port(), -absl::Seconds(1)),
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("firewall")));
}

TEST_F(CriuConnectionTest, SendsAtOnceAndNoticesADeadPeer) {
  const UniqueFd socket = Connect();
  int value = 0;
  socklen_t size = sizeof(value);
  getsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &value, &size);
  EXPECT_NE(value, 0);
  getsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &value, &size);
  EXPECT_NE(value, 0);
}

TEST_F(CriuConnectionTest, ClosingResets) {
  UniqueFd socket = Connect();
  socket.reset();
  EXPECT_EQ(server_.WaitForEnd(), End::kReset);
}

TEST_F(CriuConnectionTest, TheEndOfTheProcessResets) {
  UniqueFd socket = Connect();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    pause();
    _exit(1);
  }
  // The child has the last descriptor now.
  socket.reset();
  EXPECT_FALSE(server_.HasInput());
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(server_.WaitForEnd(), End::kReset);
}

TEST_F(CriuConnectionTest, EndsInOrderIfToldSo) {
  UniqueFd socket = Connect();
  EndInOrder(socket.get());
  socket.reset();
  EXPECT_EQ(server_.WaitForEnd(), End::kInOrder);
}

TEST(CriuPeerNameTest, PutsAnIpv6AddressInBrackets) {
  EXPECT_EQ(CriuPeerName("10.0.0.1", 27000), "10.0.0.1:27000");
  EXPECT_EQ(CriuPeerName("fe80::1", 27000), "[fe80::1]:27000");
}

}  // namespace
}  // namespace pagelift
