// With real processes and a real CRIU.

#include "daemon/migration/parked/frozen_tree.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/frozen_task.h"
#include "daemon/migration/parked/frozen_tree_proto.h"
#include "daemon/migration/parked/parked_dump.h"
#include "daemon/migration/parked/testing/criu_target.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

class FrozenTreeTest : public ::testing::Test {
 protected:
  FrozenTree ParkedTree() {
    target_.Park();
    absl::StatusOr<FrozenTree> tree =
        FrozenTree::Open(target_.images(), target_.main());
    EXPECT_OK(tree);
    return tree.ok() ? *std::move(tree) : FrozenTree({});
  }
  std::array<uint64_t, kTargetThreads> Counts() const {
    return {target_.count(kMain), target_.count(kSecondThread),
            target_.count(kChild)};
  }
  void ExpectAllCountOn() const {
    EXPECT_TRUE(target_.CountsOn(kMain));
    EXPECT_TRUE(target_.CountsOn(kSecondThread));
    EXPECT_TRUE(target_.CountsOn(kChild));
  }
  void ExpectAllStopped() const {
    EXPECT_TRUE(target_.ComesToState(target_.main(), 'T'));
    EXPECT_TRUE(target_.ComesToState(target_.child(), 'T'));
  }
  // Its other threads come to it a moment later.
  static void ExpectStopped(const FrozenTree& tree) {
    EXPECT_TRUE(Eventually([&tree] { return tree.CheckStopped().ok(); }));
  }
  void LetGo() {
    target_.leash().Reset();
    EXPECT_OK(target_.dump().WaitUntilEnded(kSoon));
  }

  CriuTarget target_;
};

// Whether `count` pages of a task are what the target wrote into them.
void ExpectPages(const FrozenTask& task, uint64_t process, PageRange pages) {
  std::vector<std::byte> bytes(pages.count.bytes());
  ASSERT_THAT(task.Read(pages.first, absl::MakeSpan(bytes)),
              IsOkAndHolds(pages.count));
  for (uint64_t page = 0; page < pages.count.raw(); ++page) {
    for (uint64_t at : {uint64_t{0}, kPageSize - sizeof(uint64_t)}) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + page * kPageSize + at, sizeof(word));
      ASSERT_EQ(word, TargetWord(process, page)) << "page " << page;
    }
  }
}

TEST_F(FrozenTreeTest, HasTheProcessesThatHaveMemory) {
  const FrozenTree tree = ParkedTree();
  ASSERT_EQ(tree.tasks().size(), 2u);
  const FrozenTask* main = tree.FindTask(target_.main());
  ASSERT_NE(main, nullptr);
  EXPECT_EQ(main->name().process.pid, target_.main());
  EXPECT_FALSE(main->name().was_stopped);
  EXPECT_FALSE(main->HasEnded());
  EXPECT_NE(tree.FindTask(target_.child()), nullptr);
  EXPECT_EQ(tree.FindTask(1), nullptr);
}

TEST_F(FrozenTreeTest, ReadsTheMemory) {
  const FrozenTree tree = ParkedTree();
  ExpectPages(tree.tasks()[0], 0, target_.main_pages());
  ExpectPages(tree.tasks()[1], 1, target_.child_pages());
}

TEST_F(FrozenTreeTest, WhatCannotBeReadIsLost) {
  const FrozenTree tree = ParkedTree();
  std::vector<std::byte> page(kPageSize);
  const auto lost = StatusIs(absl::StatusCode::kDataLoss);
  EXPECT_THAT(tree.tasks()[0].Read(PageId(0), absl::MakeSpan(page)), lost);
  ASSERT_EQ(kill(target_.main(), SIGKILL), 0);
  // When its last thread is dead.
  EXPECT_TRUE(Eventually([&] {
    return absl::IsDataLoss(
        tree.tasks()[0]
            .Read(target_.main_pages().first, absl::MakeSpan(page))
            .status());
  }));
  ExpectPages(tree.tasks()[1], 1, target_.child_pages());
}

TEST_F(FrozenTreeTest, AFencedTreeDoesNotRunWhenCriuLetsItGo) {
  const FrozenTree tree = ParkedTree();
  const auto before = Counts();
  ASSERT_OK(tree.Fence());
  ASSERT_OK(tree.Fence());
  LetGo();
  ExpectAllStopped();
  ExpectStopped(tree);
  EXPECT_EQ(Counts(), before);
  ASSERT_OK(tree.Unfence());
  ExpectAllCountOn();
  EXPECT_THAT(tree.CheckStopped(), StatusIs(absl::StatusCode::kAborted));
}

TEST_F(FrozenTreeTest, AFencedTreeDoesNotRunWhenCriuIsKilled) {
  const FrozenTree tree = ParkedTree();
  const auto before = Counts();
  ASSERT_OK(tree.Fence());
  ASSERT_OK(target_.dump().process().Kill());
  EXPECT_OK(target_.dump().WaitUntilEnded(kSoon));
  ExpectAllStopped();
  EXPECT_EQ(Counts(), before);
  ExpectPages(tree.tasks()[0], 0, target_.main_pages());
  ASSERT_OK(tree.Unfence());
  ExpectAllCountOn();
}

TEST_F(FrozenTreeTest, TheFenceMayBeTakenDownBeforeCriuLetsGo) {
  const FrozenTree tree = ParkedTree();
  ASSERT_OK(tree.Fence());
  ASSERT_OK(tree.Unfence());
  LetGo();
  ExpectAllCountOn();
}

TEST_F(FrozenTreeTest, AFenceThatComesTooLateIsNone) {
  const FrozenTree tree = ParkedTree();
  LetGo();
  ExpectAllCountOn();
  EXPECT_THAT(tree.Fence(), StatusIs(absl::StatusCode::kAborted));
  ASSERT_OK(tree.Unfence());
  ExpectAllCountOn();
}

TEST_F(FrozenTreeTest, AFenceWithAHoleIsNone) {
  const FrozenTree tree = ParkedTree();
  ASSERT_EQ(kill(target_.child(), SIGKILL), 0);
  EXPECT_TRUE(target_.ComesToState(target_.child(), 'Z'));
  EXPECT_THAT(tree.Fence(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(tree.Unfence());
}

TEST_F(FrozenTreeTest, WhatWasStoppedIsNotContinued) {
  ASSERT_EQ(kill(target_.child(), SIGSTOP), 0);
  ASSERT_TRUE(target_.ComesToState(target_.child(), 'T'));
  const FrozenTree tree = ParkedTree();
  const auto before = Counts();
  EXPECT_FALSE(tree.FindTask(target_.main())->name().was_stopped);
  EXPECT_TRUE(tree.FindTask(target_.child())->name().was_stopped);
  ASSERT_OK(tree.Fence());
  LetGo();
  ExpectAllStopped();
  ASSERT_OK(tree.Unfence());
  EXPECT_TRUE(target_.CountsOn(kMain));
  EXPECT_TRUE(target_.ComesToState(target_.child(), 'T'));
  EXPECT_EQ(target_.count(kChild), before[kChild]);
}

TEST_F(FrozenTreeTest, WhatWasStoppedStaysSoWithoutAFenceAndACriu) {
  ASSERT_EQ(kill(target_.child(), SIGSTOP), 0);
  ASSERT_TRUE(target_.ComesToState(target_.child(), 'T'));
  const FrozenTree tree = ParkedTree();
  const auto before = Counts();
  ASSERT_OK(target_.dump().process().Kill());
  EXPECT_TRUE(target_.CountsOn(kMain));
  EXPECT_TRUE(target_.ComesToState(target_.child(), 'T'));
  EXPECT_EQ(target_.count(kChild), before[kChild]);
}

TEST_F(FrozenTreeTest, IsKilledWhileItIsParked) {
  const FrozenTree tree = ParkedTree();
  // CRIU does not bury the second thread.
  EXPECT_THAT(tree.Kill(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  LetGo();
  EXPECT_OK(tree.Kill(kSoon));
  EXPECT_TRUE(target_.ComesToState(target_.main(), 'Z'));
  EXPECT_OK(tree.Kill(kSoon));
}

TEST_F(FrozenTreeTest, AFenceIsNoneIfAProcessWithThreadsWasKilled) {
  const FrozenTree tree = ParkedTree();
  ASSERT_EQ(kill(target_.main(), SIGKILL), 0);
  EXPECT_TRUE(target_.ComesToState(target_.main(), 'Z'));
  EXPECT_THAT(tree.Fence(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_OK(tree.Unfence());
}

TEST_F(FrozenTreeTest, IsKilledWhileItIsStopped) {
  const FrozenTree tree = ParkedTree();
  ASSERT_OK(tree.Fence());
  LetGo();
  ASSERT_OK(tree.Kill(kSoon));
}

TEST_F(FrozenTreeTest, IsAdoptedByItsDescriptors) {
  FrozenTaskProtos written;
  {
    const FrozenTree tree = ParkedTree();
    written = ToProto(tree);
    ASSERT_EQ(written.size(), 2);
    for (v1::FrozenTask& task : written) {
      task.set_pidfd(dup(task.pidfd()));
      task.set_memory_fd(dup(task.memory_fd()));
    }
  }
  const FrozenTree tree = AdoptTree(written);
  ASSERT_EQ(tree.tasks().size(), 2u);
  EXPECT_EQ(tree.tasks()[0].pidfd(), written[0].pidfd());
  EXPECT_EQ(tree.tasks()[0].memory_fd(), written[0].memory_fd());
  ExpectPages(*tree.FindTask(target_.main()), 0, target_.main_pages());
  ASSERT_OK(tree.Fence());
  LetGo();
  ASSERT_OK(tree.Unfence());
  ExpectAllCountOn();
}

TEST_F(FrozenTreeTest, ForeignDescriptorsAreNotAdopted) {
  FrozenTaskProtos written = ToProto(ParkedTree());
  written[0].set_pidfd(STDOUT_FILENO);
  written[0].set_memory_fd(STDERR_FILENO);
  written[1].set_pidfd(-1);
  const FrozenTree tree = AdoptTree(written);
  ExpectPages(*tree.FindTask(target_.main()), 0, target_.main_pages());
  ExpectPages(*tree.FindTask(target_.child()), 1, target_.child_pages());
  EXPECT_NE(tree.tasks()[0].pidfd(), STDOUT_FILENO);
}

TEST_F(FrozenTreeTest, IsFoundAgainByNames) {
  FrozenTaskProtos written;
  {
    const FrozenTree tree = ParkedTree();
    ASSERT_OK(tree.Fence());
    written = ToProto(tree);
  }
  LetGo();
  ExpectAllStopped();
  const FrozenTree tree = ReopenTree(written);
  ExpectStopped(tree);
  ExpectPages(*tree.FindTask(target_.main()), 0, target_.main_pages());
  ASSERT_OK(tree.Unfence());
  ExpectAllCountOn();
}

TEST_F(FrozenTreeTest, AnotherProcessOfThatNumberIsLeftAlone) {
  FrozenTaskProtos written = ToProto(ParkedTree());
  LetGo();
  v1::ProcessName* name = written[0].mutable_process();
  name->set_start_ticks(name->start_ticks() - 1);
  const FrozenTree tree = ReopenTree(written);
  ASSERT_EQ(tree.tasks().size(), 2u);
  EXPECT_TRUE(tree.tasks()[0].HasEnded());
  EXPECT_THAT(tree.CheckStopped(), StatusIs(absl::StatusCode::kNotFound));
  std::vector<std::byte> page(kPageSize);
  EXPECT_THAT(
      tree.tasks()[0].Read(target_.main_pages().first, absl::MakeSpan(page)),
      StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_OK(tree.Kill(kSoon));
  EXPECT_TRUE(target_.ComesToState(target_.child(), 'Z'));
  EXPECT_TRUE(target_.CountsOn(kMain));
}

}  // namespace
}  // namespace pagelift
