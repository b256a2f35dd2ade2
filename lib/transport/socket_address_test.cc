#include "lib/transport/socket_address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

UniqueFd ListenOnUnix(const std::string& path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)),
            0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

// A port with a socket that listens and never accepts.
class TakenPort {
 public:
  explicit TakenPort(int backlog) {
    name_.sin_family = AF_INET;
    name_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name_);
    auto* generic = reinterpret_cast<sockaddr*>(&name_);
    EXPECT_EQ(bind(fd_.get(), generic, size), 0);
    EXPECT_EQ(listen(fd_.get(), backlog), 0);
    EXPECT_EQ(getsockname(fd_.get(), generic, &size), 0);
  }
  std::string address() const {
    return absl::StrCat("127.0.0.1:", ntohs(name_.sin_port));
  }

 private:
  const UniqueFd fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in name_ = {};
};

TEST(ListenerTest, TakesAnyPort) {
  EXPECT_OK(Listener::ListenOn("127.0.0.1:0"));
  EXPECT_OK(Listener::ListenOn("localhost:0"));
}

TEST(ListenerTest, SaysThatAPortIsTaken) {
  const TakenPort taken(1);
  EXPECT_THAT(Listener::ListenOn(taken.address()).status().ToString(),
              HasSubstr("Address already in use"));
}

TEST(ListenerTest, RefusesWhatIsNoAddressOfThisHost) {
  EXPECT_THAT(Listener::ListenOn("192.0.2.1:0").status().ToString(),
              HasSubstr("Cannot assign requested address"));
  for (const char* address : {"", "7077", "host", ":1", "127.0.0.1:",
                              "127.0.0.1:70000", "127.0.0.1:-1", "a:b"}) {
    EXPECT_THAT(Listener::ListenOn(address),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << address;
  }
}

TEST(ListenerTest, TakesTheSocketThatACrashLeft) {
  TempDir dir;
  const std::string path = dir.Join("s");
  ListenOnUnix(path).reset();
  EXPECT_OK(Listener::ListenOn("unix:" + path));
}

TEST(ListenerTest, LeavesALiveSocketAlone) {
  TempDir dir;
  const std::string path = dir.Join("s");
  UniqueFd listener = ListenOnUnix(path);
  EXPECT_THAT(Listener::ListenOn("unix:" + path),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("somebody already does")));
}

TEST(ListenerTest, LeavesFilesAlone) {
  TempDir dir;
  WriteFile(dir.Join("f"), "precious");
  EXPECT_THAT(Listener::ListenOn("unix:" + dir.Join("f")),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("a file is in the way")));
  EXPECT_THAT(Listener::ListenOn("unix:" + dir.Join("no/such")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(ListenerTest, TakesItsNameAlong) {
  TempDir dir;
  struct stat info;
  {
    ASSERT_OK_AND_ASSIGN(Listener first,
                         Listener::ListenOn("unix:" + dir.Join("s")));
    Listener listener(std::move(first));
    EXPECT_EQ(lstat(dir.Join("s").c_str(), &info), 0);
  }
  EXPECT_NE(lstat(dir.Join("s").c_str(), &info), 0);
}

TEST(ListenerTest, TellsThePortThatItChose) {
  ASSERT_OK_AND_ASSIGN(Listener listener, Listener::ListenOn("localhost:0"));
  EXPECT_THAT(listener.address(), MatchesRegex("localhost:[1-9][0-9]*"));
  for (const UniqueFd& fd : listener.sockets()) {
    sockaddr_storage name;
    socklen_t size = sizeof(name);
    ASSERT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size),
              0);
    // At the same place for both families.
    EXPECT_THAT(
        listener.address(),
        EndsWith(absl::StrCat(
            ":", ntohs(reinterpret_cast<sockaddr_in*>(&name)->sin_port))));
  }
  ASSERT_OK_AND_ASSIGN(Listener local,
                       Listener::ListenOn("unix:relative.socket"));
  EXPECT_EQ(local.address(), "unix:relative.socket");
}

class ConnectToTest : public ::testing::Test {
 protected:
  ConnectToTest() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    cancel_.reset(fds[0]);
    canceller_.reset(fds[1]);
  }

  UniqueFd cancel_;
  UniqueFd canceller_;
};

TEST_F(ConnectToTest, ReachesEveryKindOfListener) {
  TempDir dir;
  for (const std::string& address :
       {std::string("127.0.0.1:0"), std::string("localhost:0"),
        "unix:" + dir.Join("s"), "unix://" + dir.Join("t")}) {
    ASSERT_OK_AND_ASSIGN(Listener listener, Listener::ListenOn(address));
    ASSERT_OK_AND_ASSIGN(
        UniqueFd fd,
        ConnectTo(listener.address(), absl::Seconds(30), cancel_.get()));
    TunePageSocket(fd.get());
    EXPECT_THAT(PeerOf(fd.get()),
                AnyOf(MatchesRegex("(127.0.0.1|::1) port [0-9]+"),
                      Eq("a client on this host")));
  }
}

TEST_F(ConnectToTest, SaysThatNobodyIsThere) {
  std::string address;
  {
    ASSERT_OK_AND_ASSIGN(Listener listener, Listener::ListenOn("127.0.0.1:0"));
    address = listener.address();
  }
  EXPECT_THAT(ConnectTo(address, absl::Seconds(30), cancel_.get()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(address + ": Connection refused")));
  EXPECT_THAT(ConnectTo("unix:/no/such", absl::Seconds(30), cancel_.get()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ConnectToTest, WaitsNoLongerThanItIsLet) {
  // A queue of one that is full: later ones are left without an answer.
  const TakenPort busy(0);
  const std::string address = busy.address();
  ASSERT_OK_AND_ASSIGN(UniqueFd first,
                       ConnectTo(address, absl::Seconds(30), cancel_.get()));
  EXPECT_THAT(ConnectTo(address, absl::Milliseconds(20), cancel_.get()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("no answer within 20ms")));
  canceller_.reset();
  EXPECT_THAT(ConnectTo(address, absl::InfiniteDuration(), cancel_.get()),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST(IsLocalAddressTest, KnowsLoopbackAndUnixSockets) {
  for (const char* address :
       {"127.0.0.1:1", "127.1.2.3:1", "localhost:1", "[::1]:1", "unix:/a"}) {
    EXPECT_TRUE(IsLocalAddress(address)) << address;
  }
  for (const char* address :
       {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "host:1", "127.0.0.1.example:1"}) {
    EXPECT_FALSE(IsLocalAddress(address)) << address;
  }
}

}  // namespace
}  // namespace pagelift
