// What becomes of a session of which a service manager has not kept all.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "daemon/pager/journal/session_journal.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"
#include "lib/uffd/event.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

constexpr PageCount kImage{10};

class RestoredJournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(journal_, SessionJournal::Create(kImage));
    ASSERT_OK_AND_ASSIGN(UserfaultFd uffd, UserfaultFd::Open({}));
    uffd_ = std::move(uffd).Release();
    other_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
    target_ = fork();
    if (target_ == 0) {
      while (true) pause();
    }
    ASSERT_OK_AND_ASSIGN(PidFd pid, PidFd::Open(target_));
    pidfd_ = UniqueFd(dup(pid.fd()));
  }
  void TearDown() override {
    if (target_ != 0) {
      kill(target_, SIGKILL);
      waitpid(target_, nullptr, 0);
    }
  }

  std::unique_ptr<SpaceJournal> AddSpace(int uffd, int pidfd) {
    SessionJournal::Space space;
    space.uffd = uffd;
    space.pidfd = pidfd;
    space.pid = target_;
    return journal_->Add(space, SpaceLayout());
  }
  // After all processes of the daemon have died.
  void Restore(bool trusted = true) {
    UniqueFd memory(dup(journal_->fd()));
    ASSERT_OK_AND_ASSIGN(journal_, SessionJournal::Adopt(std::move(memory)));
    journal_->CheckRestored(trusted);
    ASSERT_OK_AND_ASSIGN(spaces_, journal_->Spaces());
  }
  bool TargetWasKilled() {
    int status;
    if (waitpid(target_, &status, 0) != target_) return false;
    target_ = 0;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  bool TargetLives() { return waitpid(target_, nullptr, WNOHANG) == 0; }

  std::unique_ptr<SessionJournal> journal_;
  std::vector<std::unique_ptr<SpaceJournal>> spaces_;
  UniqueFd uffd_;
  UniqueFd other_;  // What a number may mean that was something else's.
  UniqueFd pidfd_;
  pid_t target_ = 0;
};

TEST_F(RestoredJournalTest, WhatIsAllThereIsGoneOnWith) {
  auto space = AddSpace(uffd_.get(), pidfd_.get());
  Restore();
  ASSERT_EQ(spaces_.size(), 1u);
  EXPECT_EQ(spaces_[0]->record().uffd, uffd_.get());
  EXPECT_EQ(spaces_[0]->record().pidfd, pidfd_.get());
  EXPECT_TRUE(TargetLives());
}

TEST_F(RestoredJournalTest, ATargetWhoseUserfaultFdIsLostIsKilled) {
  auto space = AddSpace(other_.get(), pidfd_.get());
  Restore();
  EXPECT_TRUE(spaces_.empty());
  EXPECT_TRUE(TargetWasKilled());
}

TEST_F(RestoredJournalTest, WithAStoreThatIsWrongNoUserfaultFdIsBelieved) {
  auto space = AddSpace(uffd_.get(), pidfd_.get());
  Restore(/*trusted=*/false);
  EXPECT_TRUE(spaces_.empty());
  EXPECT_TRUE(TargetWasKilled());
}

TEST_F(RestoredJournalTest, NobodyIsKilledForANumber) {
  auto space = AddSpace(-1, other_.get());
  Restore();
  EXPECT_TRUE(spaces_.empty());
  EXPECT_TRUE(TargetLives());
}

TEST_F(RestoredJournalTest, AProcessThatIsAnotherIsNotWatched) {
  auto space = AddSpace(uffd_.get(), pidfd_.get());
  space->record().pid = getpid();
  Restore();
  ASSERT_EQ(spaces_.size(), 1u);
  EXPECT_EQ(spaces_[0]->record().pidfd, -1);
}

TEST_F(RestoredJournalTest, AForkWhoseChildIsLostIsNotBelieved) {
  auto space = AddSpace(uffd_.get(), pidfd_.get());
  // As the kernel has written them: a fork, twice. One child was kept.
  const int children[] = {other_.get(), uffd_.get()};
  for (size_t i = 0; i < 2; ++i) {
    std::byte* const message =
        space->raw().data() + i * SpaceJournal::kMessageSize;
    message[0] = std::byte{0x13};  // UFFD_EVENT_FORK
    std::memcpy(message + 8, &children[i], sizeof(int));
  }
  Restore();
  ASSERT_EQ(spaces_.size(), 1u);
  const auto raw = spaces_[0]->raw();
  EXPECT_EQ(ChildNamedIn(raw.subspan(0, 32)), std::nullopt);
  EXPECT_EQ(ChildNamedIn(raw.subspan(32, 32)), uffd_.get());
  ASSERT_OK_AND_ASSIGN(const Event nothing, DecodeEvent(raw.subspan(0, 32)));
  EXPECT_TRUE(std::holds_alternative<PageFault>(nothing));
  EXPECT_EQ(spaces_[0]->messages(), 2u);
}

TEST_F(RestoredJournalTest, ASocketThatIsNoneIsForgotten) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd one(ends[0]);
  const UniqueFd other(ends[1]);
  journal_->record().listener = one.get();
  journal_->record().handoff = other_.get();
  Restore();
  EXPECT_EQ(journal_->record().listener, one.get());
  EXPECT_EQ(journal_->record().handoff, -1);
}

}  // namespace
}  // namespace pagelift
