#include "lib/process/fd_listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

const std::byte kByte[] = {std::byte{1}};

TEST(FdListenerTest, AcceptsWhoConnects) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(FdListener listener,
                       FdListener::Listen(dir.Join("lazy-pages.socket")));
  ASSERT_OK_AND_ASSIGN(FdChannel theirs,
                       FdChannel::Connect(dir.Join("lazy-pages.socket")));
  ASSERT_OK_AND_ASSIGN(FdChannel ours, listener.Accept());
  ASSERT_OK(theirs.Send(kByte));
  std::byte room[1];
  ASSERT_OK_AND_ASSIGN(Received received,
                       ours.ReceiveWithFds(absl::MakeSpan(room)));
  EXPECT_EQ(received.bytes, 1u);
  EXPECT_EQ(fcntl(ours.fd(), F_GETFD), FD_CLOEXEC);
}

TEST(FdListenerTest, OnlyTheOwnerMayConnect) {
  TempDir dir;
  const mode_t before = umask(0);
  auto listener = FdListener::Listen(dir.Join("s"));
  umask(before);
  ASSERT_OK(listener);
  struct stat file;
  ASSERT_EQ(stat(dir.Join("s").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0600u);
}

TEST(FdListenerTest, RemovesItsFile) {
  TempDir dir;
  { ASSERT_OK(FdListener::Listen(dir.Join("s"))); }
  EXPECT_FALSE(std::filesystem::exists(dir.Join("s")));
}

TEST(FdListenerTest, NobodyWantsToConnect) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(FdListener listener, FdListener::Listen(dir.Join("s")));
  EXPECT_THAT(listener.Accept(Wait::kDontWait),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST(FdListenerTest, ReplacesASocketThatNobodyListensAt) {
  TempDir dir;
  // A listener that was killed leaves its file behind.
  ASSERT_OK_AND_ASSIGN(FdListener first, FdListener::Listen(dir.Join("s")));
  ASSERT_EQ(link(dir.Join("s").c_str(), dir.Join("stale").c_str()), 0);
  { FdListener ended = std::move(first); }
  ASSERT_TRUE(std::filesystem::exists(dir.Join("stale")));
  ASSERT_OK(FdListener::Listen(dir.Join("stale")));
}

TEST(FdListenerTest, KeepsASocketThatSomebodyListensAt) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(FdListener listener, FdListener::Listen(dir.Join("s")));
  EXPECT_THAT(FdListener::Listen(dir.Join("s")),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("somebody listens at")));
  EXPECT_OK(FdChannel::Connect(dir.Join("s")));
}

TEST(FdListenerTest, KeepsAFileThatIsNoSocket) {
  TempDir dir;
  WriteFile(dir.Join("s"), "precious");
  EXPECT_THAT(
      FdListener::Listen(dir.Join("s")),
      StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("is no socket")));
  EXPECT_TRUE(std::filesystem::exists(dir.Join("s")));
}

TEST(FdListenerTest, SaysThatTheDirectoryIsNotWritable) {
  TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0555), 0);
  const uid_t before = geteuid();
  if (before == 0) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  auto listener = FdListener::Listen(dir.Join("s"));
  ASSERT_EQ(seteuid(before), 0);
  EXPECT_THAT(listener, StatusIs(absl::StatusCode::kPermissionDenied,
                                 HasSubstr("may not write to its directory")));
}

TEST(FdListenerTest, SaysThatTheDirectoryIsNotThere) {
  EXPECT_THAT(FdListener::Listen("/nowhere/s"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/s")));
}

TEST(FdListenerTest, PathsMayBeLongerThanTheKernelTakes) {
  TempDir dir;
  const std::string folder =
      dir.Join(std::string(100, 'a')) + "/" + std::string(100, 'b');
  ASSERT_TRUE(std::filesystem::create_directories(folder));
  const std::string path = folder + "/lazy-pages.socket";
  {
    ASSERT_OK_AND_ASSIGN(FdListener listener, FdListener::Listen(path));
    EXPECT_EQ(listener.path(), path);
    EXPECT_THAT(FdListener::Listen(path),
                StatusIs(absl::StatusCode::kAlreadyExists));
    ASSERT_OK(FdChannel::Connect(path));
    ASSERT_OK(listener.Accept());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(FdListenerTest, NamesThatNoDetourHelps) {
  TempDir dir;
  for (const std::string& path :
       {std::string(), std::string("a\0b", 3), dir.Join(std::string(150, 'n')),
        std::string(150, 'n'), dir.Join(std::string(150, '/'))}) {
    EXPECT_THAT(FdListener::Listen(path),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << path;
  }
}

TEST(FdListenerTest, CredentialsComeWithTheVeryFirstByte) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(FdListener listener, FdListener::Listen(dir.Join("s")));
  ASSERT_OK(listener.SetPassCredentials());
  ASSERT_OK_AND_ASSIGN(FdChannel theirs, FdChannel::Connect(dir.Join("s")));
  ASSERT_OK(theirs.Send(kByte));
  ASSERT_OK_AND_ASSIGN(FdChannel ours, listener.Accept());
  std::byte room[1];
  for (int message = 0; message < 2; ++message) {
    ASSERT_OK_AND_ASSIGN(Received received,
                         ours.ReceiveWithFds(absl::MakeSpan(room)));
    ASSERT_TRUE(received.sender.has_value());
    EXPECT_EQ(received.sender->pid, getpid());
    ASSERT_OK(theirs.Send(kByte));
  }
}

}  // namespace
}  // namespace pagelift
