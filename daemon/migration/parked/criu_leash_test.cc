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
#include <cstdint>
#include <optional>
#include <thread>

#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"
#include "lib/transport/criu_message.h"

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

  // What the next read of CRIU's tells: 0 an end in order, -errno.
  ssize_t Read() {
    CriuMessage message;
    const ssize_t n =
        recv(criu_.get(), message.data(), message.size(), MSG_WAITALL);
    if (n > 0) {
      EXPECT_EQ(message, EncodeCriuForceClose());
    }
    return n < 0 ? -errno : n;
  }
  void Answer(int32_t status) {
    EXPECT_EQ(send(criu_.get(), &status, sizeof(status), MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof(status)));
  }

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
  EXPECT_EQ(Read(), -ECONNRESET);
  leash_->Reset();  // Does nothing.
  EXPECT_THAT(leash_->Finish(kSoon),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(CriuLeashTest, IsResetByTheDeathOfItsLastHolder) {
  const pid_t child = fork();
  while (child == 0) pause();
  // The child still has it.
  close(leash_->fd());
  std::byte byte;
  EXPECT_EQ(recv(criu_.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(Read(), -ECONNRESET);
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
  std::byte byte;
  EXPECT_EQ(recv(criu_.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
  kill(guard, SIGKILL);
  ASSERT_EQ(waitpid(guard, nullptr, 0), guard);
  EXPECT_EQ(Read(), -ECONNRESET);
}

TEST_F(CriuLeashTest, DroppingItLeavesTheConnectionAsItIs) {
  const int fd = leash_->fd();
  leash_.reset();
  std::byte byte;
  EXPECT_EQ(recv(criu_.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_OK_AND_ASSIGN(CriuLeash adopted, CriuLeash::Adopt(fd));
  adopted.Reset();
  EXPECT_EQ(Read(), -ECONNRESET);
}

TEST_F(CriuLeashTest, FinishesWhenItIsAnswered) {
  std::thread criu([&] {
    EXPECT_GT(Read(), 0);
    Answer(0);
    criu_.reset();
  });
  EXPECT_OK(leash_->Finish(kSoon));
  EXPECT_EQ(leash_->fd(), -1);
  criu.join();
}

TEST_F(CriuLeashTest, FinishesOrderlyToAPeerThatWaitsForIt) {
  std::thread criu([&] {
    EXPECT_GT(Read(), 0);
    Answer(0);
    EXPECT_EQ(Read(), 0);
    criu_.reset();
  });
  EXPECT_OK(leash_->Finish(kSoon));
  criu.join();
}

TEST_F(CriuLeashTest, WhoeverFinishesAgainFindsTheAnswer) {
  // As if another worker had asked, and died.
  const CriuMessage message = EncodeCriuForceClose();
  ASSERT_EQ(send(leash_->fd(), message.data(), message.size(), 0),
            static_cast<ssize_t>(message.size()));
  EXPECT_GT(Read(), 0);
  Answer(0);
  EXPECT_THAT(leash_->Finish(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  criu_.reset();
  EXPECT_OK(leash_->Finish(kSoon));
}

TEST_F(CriuLeashTest, TellsThatItIsNotAnswered) {
  EXPECT_THAT(leash_->Finish(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(leash_->fd(), 0);
  criu_.reset();
  EXPECT_THAT(leash_->Finish(kSoon), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CriuLeashTest, TellsThatCriuFailed) {
  Answer(-1);
  EXPECT_THAT(leash_->Finish(kSoon), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(CriuLeashTest, AdoptsNothingElse) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]), two(ends[1]);
  const auto refused = StatusIs(absl::StatusCode::kNotFound);
  EXPECT_THAT(CriuLeash::Adopt(one.get()), refused);
  EXPECT_THAT(CriuLeash::Adopt(criu_.get()), refused);
  EXPECT_THAT(CriuLeash::Adopt(-1), refused);
}

}  // namespace
}  // namespace pagelift
