#include "daemon/migration/parked/criu_leash.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>

#include "criu/rpc.pb.h"
#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"

namespace pagelift {
namespace {

// The other end is the test's instead of CRIU's; what CRIU does is tested in
// parked_dump_test.
class CriuLeashTest : public ::testing::Test {
 protected:
  CriuLeashTest() {
    absl::StatusOr<CriuLeash::Pair> pair = CriuLeash::Make();
    EXPECT_OK(pair);
    if (!pair.ok()) return;
    leash_.emplace(std::move(pair->leash));
    criu_ = std::move(pair->for_criu);
  }

  // What the next read of CRIU's tells: nothing, if it is at its end.
  std::optional<bool> HearsGoOn() {
    std::array<char, 256> packet;
    const ssize_t n = recv(criu_.get(), packet.data(), packet.size(), 0);
    if (n <= 0) return std::nullopt;
    criu::RpcRequest request;
    EXPECT_TRUE(request.ParseFromArray(packet.data(), static_cast<int>(n)));
    EXPECT_EQ(request.kind(), criu::RPC_NOTIFY);
    return request.go_on();
  }
  bool IsOpen() {
    std::byte byte;
    return recv(criu_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1 &&
           errno == EAGAIN;
  }
  void Say(criu::RpcKind kind, bool success) {
    criu::RpcResponse response;
    response.set_kind(kind);
    response.set_success(success);
    const std::string packet = response.SerializeAsString();
    EXPECT_EQ(send(criu_.get(), packet.data(), packet.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(packet.size()));
  }
  absl::Status Finish(absl::Duration patience) {
    return leash_->Finish(*self_, patience);
  }

  // For a criu that lives.
  absl::StatusOr<PidFd> self_ = PidFd::Open(getpid());
  std::optional<CriuLeash> leash_;
  UniqueFd criu_;
};

TEST_F(CriuLeashTest, NeitherEndIsInheritedByAccident) {
  EXPECT_EQ(fcntl(leash_->fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(criu_.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(CriuLeashTest, IsResetOnRequestWhoeverElseHasIt) {
  const UniqueFd other(dup(leash_->fd()));
  leash_->Reset();
  EXPECT_EQ(leash_->fd(), -1);
  EXPECT_EQ(HearsGoOn(), std::nullopt);
  leash_->Reset();  // Does nothing.
  EXPECT_THAT(Finish(kSoon), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(CriuLeashTest, IsResetByTheDeathOfItsLastHolder) {
  const pid_t child = fork();
  while (child == 0) pause();
  // The child still has it.
  close(leash_->fd());
  EXPECT_TRUE(IsOpen());
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(HearsGoOn(), std::nullopt);
}

int WaitForever(void*) {
  while (true) pause();
}

TEST_F(CriuLeashTest, OutlivesAWorkerWhoseGuardSharesItsDescriptors) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd from_guard(ends[0]), to_us(ends[1]);
  const pid_t guard = fork();
  if (guard == 0) {
    alignas(16) static std::array<char, 1 << 16> stack;
    const pid_t started = clone(WaitForever, stack.data() + stack.size(),
                                CLONE_FILES | SIGCHLD, nullptr);
    if (write(to_us.get(), &started, sizeof(started)) < 0) _exit(1);
    while (true) pause();
  }
  close(leash_->fd());
  pid_t pid = -1;
  ASSERT_EQ(read(from_guard.get(), &pid, sizeof(pid)),
            static_cast<ssize_t>(sizeof(pid)));
  ASSERT_OK_AND_ASSIGN(const PidFd worker, PidFd::Open(pid));
  ASSERT_OK(worker.Kill());
  EXPECT_TRUE(PollUntil(worker.fd(), POLLIN, MonotonicNow() + kSoon));
  EXPECT_TRUE(IsOpen());
  kill(guard, SIGKILL);
  ASSERT_EQ(waitpid(guard, nullptr, 0), guard);
  EXPECT_EQ(HearsGoOn(), std::nullopt);
}

TEST_F(CriuLeashTest, DroppingItLeavesTheConnectionAsItIs) {
  const int fd = leash_->fd();
  leash_.reset();
  EXPECT_TRUE(IsOpen());
  ASSERT_OK_AND_ASSIGN(CriuLeash adopted, CriuLeash::Adopt(fd));
  adopted.Reset();
  EXPECT_EQ(HearsGoOn(), std::nullopt);
}

TEST_F(CriuLeashTest, FinishesWhenItIsAnswered) {
  std::thread criu([&] {
    EXPECT_EQ(HearsGoOn(), true);
    Say(criu::RPC_NOTIFY, true);
    EXPECT_EQ(HearsGoOn(), true);
    Say(criu::RPC_DUMP, true);
  });
  EXPECT_OK(Finish(kSoon));
  EXPECT_EQ(leash_->fd(), -1);
  criu.join();
}

TEST_F(CriuLeashTest, WhoeverFinishesAgainFindsTheAnswer) {
  EXPECT_THAT(Finish(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(leash_->fd(), 0);
  EXPECT_EQ(HearsGoOn(), true);
  Say(criu::RPC_DUMP, true);
  criu_.reset();
  // As another worker does.
  const int fd = leash_->fd();
  leash_.reset();
  ASSERT_OK_AND_ASSIGN(CriuLeash adopted, CriuLeash::Adopt(fd));
  EXPECT_OK(adopted.Finish(*self_, kSoon));
}

TEST_F(CriuLeashTest, TellsThatItIsNotAnswered) {
  criu_.reset();
  EXPECT_THAT(Finish(kSoon), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CriuLeashTest, TellsThatCriuFailed) {
  Say(criu::RPC_DUMP, false);
  EXPECT_THAT(Finish(kSoon), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(CriuLeashTest, AdoptsNothingElse) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]), two(ends[1]);
  const auto refused = StatusIs(absl::StatusCode::kNotFound);
  EXPECT_THAT(CriuLeash::Adopt(one.get()), refused);
  EXPECT_THAT(CriuLeash::Adopt(STDIN_FILENO), refused);
  EXPECT_THAT(CriuLeash::Adopt(-1), refused);
}

}  // namespace
}  // namespace pagelift
