#include "daemon/page_server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

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

TEST(CheckCanListenTest, TakesAnyPort) {
  EXPECT_OK(CheckCanListen("127.0.0.1:0"));
  EXPECT_OK(CheckCanListen("localhost:0"));
}

TEST(CheckCanListenTest, SaysThatAPortIsTaken) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  ASSERT_EQ(bind(fd.get(), generic, size), 0);
  ASSERT_EQ(listen(fd.get(), 1), 0);
  ASSERT_EQ(getsockname(fd.get(), generic, &size), 0);
  EXPECT_THAT(CheckCanListen(absl::StrCat("127.0.0.1:", ntohs(name.sin_port)))
                  .ToString(),
              HasSubstr("Address already in use"));
}

TEST(CheckCanListenTest, RefusesWhatIsNoAddressOfThisHost) {
  EXPECT_THAT(CheckCanListen("192.0.2.1:0").ToString(),
              HasSubstr("Cannot assign requested address"));
  for (const char* address : {"", "7077", "host", ":1", "127.0.0.1:",
                              "127.0.0.1:70000", "127.0.0.1:-1", "a:b"}) {
    EXPECT_THAT(CheckCanListen(address),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << address;
  }
}

TEST(CheckCanListenTest, TakesTheSocketThatACrashLeft) {
  TempDir dir;
  const std::string path = dir.Join("s");
  ListenOnUnix(path).reset();
  EXPECT_OK(CheckCanListen("unix:" + path));
}

TEST(CheckCanListenTest, LeavesALiveSocketAlone) {
  TempDir dir;
  const std::string path = dir.Join("s");
  UniqueFd listener = ListenOnUnix(path);
  EXPECT_THAT(CheckCanListen("unix:" + path),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("somebody already does")));
}

TEST(CheckCanListenTest, LeavesFilesAlone) {
  TempDir dir;
  WriteFile(dir.Join("f"), "precious");
  EXPECT_THAT(CheckCanListen("unix:" + dir.Join("f")),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("a file is in the way")));
  EXPECT_THAT(CheckCanListen("unix:" + dir.Join("no/such")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(CheckCanListenTest, LeavesNothingBehind) {
  TempDir dir;
  EXPECT_OK(CheckCanListen("unix:" + dir.Join("s")));
  struct stat info;
  EXPECT_NE(lstat(dir.Join("s").c_str(), &info), 0);
}

TEST(IsLocalAddressTest, KnowsLoopbackAndUnixSockets) {
  for (const char* address :
       {"127.0.0.1:1", "127.1.2.3:1", "localhost:1", "[::1]:1", "unix:/a"}) {
    EXPECT_TRUE(IsLocalAddress(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "host:1"}) {
    EXPECT_FALSE(IsLocalAddress(address)) << address;
  }
}

TEST(WithPortTest, PutsInThePortThatWasChosen) {
  EXPECT_EQ(WithPort("127.0.0.1:0", 4711), "127.0.0.1:4711");
  EXPECT_EQ(WithPort("[::1]:0", 4711), "[::1]:4711");
  EXPECT_EQ(WithPort("unix:/a:0", 1), "unix:/a:0");
}

}  // namespace
}  // namespace pagelift
